/**
 * Whether a Hello makes sense: the names are names, the agent is who its parts say, and both ends speak the same protocol.
 */
import { MeshError } from '../../core/errors.js';
import { serviceNamePattern } from '../../core/policy/names.js';
import { type Hello, protocolVersion } from '../../proto/messages.js';

/** One running process's mesh; it ends up in ids, so no `/`, no `|`, no blanks. */
const instancePattern = /^[A-Za-z0-9][A-Za-z0-9._:@-]{0,199}$/;

/** Of a Hello, what says who it is. */
export type Introduction = Omit<Hello, 'hashes' | 'callees' | 'dataset' | 'revision'>;

/** Throws `invalid_request` naming the field, or `invalid_configuration` for another protocol. */
export function checkHello({ agent, service, instance, protocol }: Hello): void {
  if (!serviceNamePattern.test(service))
    throw invalid(
      'service',
      service,
      'use up to 128 letters, digits and . _ : - and begin with a letter or digit',
    );
  if (!instancePattern.test(instance))
    throw invalid(
      'instance',
      instance,
      'use up to 200 letters, digits and . _ : @ - and begin with a letter or digit',
    );
  if (agent !== `${service}/${instance}`)
    throw invalid('agent', agent, `it has to be <service>/<instance>, here ${service}/${instance}`);
  if (protocol.major !== protocolVersion.major)
    throw new MeshError(
      'invalid_configuration',
      `this agent speaks protocol ${protocol.major}.${protocol.minor}, this control plane ${protocolVersion.major}.${protocolVersion.minor}: update the older one`,
      { target: agent },
    );
}

function invalid(field: string, value: string, right: string): MeshError {
  return new MeshError('invalid_request', `hello.${field} "${value}": ${right}`);
}
