/**
 * A real mirror of which a test takes some parts into its own hands: whatever `other` names is answered by the test, the rest by
 * the mirror itself.
 */
import type { Mirror } from '../../control-plane/ports.js';

export function mirrorView(real: Mirror, other: () => Partial<Record<keyof Mirror, unknown>>): Mirror {
  return new Proxy(real, {
    get(target, property) {
      const given = other();
      if (property in given) return given[property as keyof Mirror];
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
