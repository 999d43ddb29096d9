/**
 * Decisions on the span in which they were made: `switchgear.reject`, `switchgear.retry` and so on, each with the policy and
 * revision behind it. No span of our own is ever begun. A decision that a timer makes (an attempt's time is over) may find no
 * span, or that of whoever set the timer off: `mesh.on('decision')` hears of it all the same.
 */
import { type Attributes, ProxyTracerProvider, trace } from '@opentelemetry/api';
import type { Decision } from '../decisions.js';
import { attributeNames, codeAttributes } from './metrics.js';

/** What a process has that registered no tracing. */
const none = new ProxyTracerProvider().getDelegate();

/** Whether somebody registered tracing, through whichever copy of the API. */
export function isTracing(): boolean {
  const provider = trace.getTracerProvider();
  return !(provider instanceof ProxyTracerProvider) || provider.getDelegate() !== none;
}

/** `rpc`: the method is one of gRPC's. Must not throw, whatever the span does. */
export function addSpanEvent(decision: Decision, rpc: boolean): void {
  try {
    const span = trace.getActiveSpan();
    if (span?.isRecording() === true)
      span.addEvent(`switchgear.${decision.kind}`, attributesOf(decision, rpc));
  } catch {
    // A span of the application's own making; the call doesn't depend on it.
  }
}

function attributesOf(
  { kind, callee, method, policy, revision, code, text }: Decision,
  rpc: boolean,
): Attributes {
  const attributes: Attributes = {
    [attributeNames.callee]: callee,
    [codeAttributes[kind]]: code,
    [attributeNames.reason]: text,
  };
  if (method !== '') attributes[rpc ? attributeNames.method : attributeNames.key] = method;
  if (policy !== '') {
    attributes[attributeNames.policy] = policy;
    attributes[attributeNames.revision] = revision;
  }
  return attributes;
}
