/**
 * The documentation's table of metrics, as the code has it: one source for the document and for the test that holds it to it.
 */
import { metricSpecs } from '../../agent/telemetry/metrics.js';

export function metricsTable(): string {
  const rows = Object.values(metricSpecs).map(({ name, kind, unit, attributes, description }) => {
    const beside = attributes.map((attribute) => `\`${attribute}\``).join(', ');
    return `| \`${name}\` | ${kind.replaceAll('-', ' ')} | \`${unit}\` | ${beside} | ${description} |`;
  });
  return ['| Metric | Kind | Unit | Attributes | |', '| --- | --- | --- | --- | --- |', ...rows].join('\n');
}
