/** What was profiled: the profile with what it is of. */
import type { Cpu } from './cpu.js';
import type { CpuProfile } from './frames.js';

export interface Profiled {
  /** Of the picture's file and of the section in the document: `control-plane-storm`. */
  readonly name: string;
  readonly title: string;
  readonly profile: CpuProfile;
  /** Of the process meanwhile. */
  readonly cpu: Cpu;
}
