// Rules that the CRDs publish and that validation of one object does not decide, each with the reason. The test of the published
// rules fails on a rule that is neither decided nor named here, and on a name here that is not needed.

/** By `Kind message`. */
export const notEnforced: Readonly<Record<string, string>> = {
  'GatewayClass field is immutable': 'needs the object as it was before: admission (control/api) compares at an update',
}
