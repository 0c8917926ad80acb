// What the compile step knows besides the resources: fixed for the life of a control plane, made by app.ts.
import type { MeshSettings } from '../../core/model/types.ts'

export interface CompileSettings {
  readonly mesh: MeshSettings
  /** Namespaces whose policies hold for the whole mesh: the mesh's own, and Istio's where `istioLabels` is on. */
  readonly rootNamespaces: readonly string[]
  /** Whether Istio's labels and annotations count besides Culvert's. */
  readonly istioLabels: boolean
}

/**
 * Counted up with every change of what the compile step makes of the same objects: agents take versions of two control planes for
 * the same state only where this is equal.
 */
export const compileFormat = 2

/** Trust domain that policies may write for the mesh's own, whatever that is called (Istio's alias). */
export const trustDomainAlias = 'cluster.local'

/** Annotations and labels of Culvert on objects. */
export const names = {
  istioTunnel: 'networking.istio.io/tunnel',
  istioRedirection: 'ambient.istio.io/redirection',
  dryRun: 'istio.io/dry-run',
  workloadUid: 'culvert.dev/workload-uid',
  node: 'culvert.dev/node',
  addresses: 'culvert.dev/addresses',
  redirection: 'culvert.dev/redirection',
  uncapturedConnections: 'culvert.dev/uncaptured-connections',
  health: 'culvert.dev/health',
  sourceFile: 'culvert.dev/source-file',
} as const
