/**
 * The names of metrics and attributes: as OpenTelemetry wants them, and as the documentation says.
 */
import { expect } from 'chai';
import { attributeNames, metricSpecs } from '../../../agent/telemetry/metrics.js';
import { readDocument } from '../../support/markdown.js';
import { metricsTable } from '../../support/metrics-table.js';

describe('the names of metrics', () => {
  const specs = Object.values(metricSpecs);
  const attributes = Object.values(attributeNames);

  it('stand in the documentation with kind, unit and attributes', () => {
    const [, table = ''] =
      /<!-- metrics: .*? -->\n([\s\S]*?)\n<!-- \/metrics -->/.exec(readDocument('docs/sdk.md')) ?? [];
    expect(table).to.equal(metricsTable());
  });

  it('are lower case, dotted, of our own namespace, without units or totals, and none twice', () => {
    for (const { name } of specs)
      expect(name)
        .to.match(/^switchgear(\.[a-z]+(_[a-z]+)*)+$/)
        .and.not.match(/total|second|_ms$/);
    expect(new Set(specs.map(({ name }) => name)).size).to.equal(specs.length);
  });

  it('have units of UCUM', () => {
    for (const { name, unit } of specs) expect(unit, name).to.match(/^(s|1|\{[a-z]+\})$/);
  });

  it('are plural for counters of things alone', () => {
    const up = specs.filter(({ kind }) => kind === 'up-down-counter').map(({ name }) => name);
    expect(up.filter((name) => /s$/.test(name))).to.deep.equal([]);
  });

  it('have attributes of our own namespace, or of the conventions', () => {
    for (const name of attributes) expect(name).to.match(/^(switchgear(\.[a-z]+)+|rpc\.method|error\.type)$/);
    for (const spec of specs) expect(attributes).to.include.members([...spec.attributes]);
  });
});
