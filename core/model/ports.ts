// The ports and marks that every part agrees on (Istio ambient's values, for wire and operational compatibility).

export const ports = {
  /** Loopback admin. */
  admin: 15000,
  /** Captured outbound TCP. */
  outbound: 15001,
  /** Captured inbound plaintext TCP. */
  inboundPlaintext: 15006,
  /** Tunnel. */
  hbone: 15008,
  /** Kubernetes-style API and dashboard of the control plane. */
  api: 15010,
  /** Feed of the control plane. */
  feed: 15012,
  metrics: 15020,
  health: 15021,
  dns: 15053,
} as const

/** Ports of the proxy itself: never a destination of captured or tunnelled traffic. */
export const capturePorts: ReadonlySet<number> = new Set([ports.outbound, ports.inboundPlaintext, ports.hbone])

/** SO_MARK of the daemon's own sockets, and the connmark that leads replies of spoofed connections home. */
export const marks = { proxy: 0x539, reply: 0x111, mask: 0xfff } as const
