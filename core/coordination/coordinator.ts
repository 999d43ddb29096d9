/**
 * One replica's part in the circuits of the mesh.
 */
import type { CoordinatorOptions, CoordinatorPart } from './contract.js';

export class Coordinator implements CoordinatorPart {
  constructor(private readonly options: CoordinatorOptions) {}
  heard: CoordinatorPart['heard'] = () => false;
  probed: CoordinatorPart['probed'] = () => {};
  left: CoordinatorPart['left'] = () => {};
  setReplicas: CoordinatorPart['setReplicas'] = () => {};
  accounts: CoordinatorPart['accounts'] = () => new Map();
  learn: CoordinatorPart['learn'] = () => [];
  decide: CoordinatorPart['decide'] = () => [];
  wrote: CoordinatorPart['wrote'] = () => undefined;
  freeze: CoordinatorPart['freeze'] = () => {};
  directives: CoordinatorPart['directives'] = () => [];
  ejected: CoordinatorPart['ejected'] = () => new Set<string>();
  views: CoordinatorPart['views'] = () => [];
  forget: CoordinatorPart['forget'] = () => {};
}
