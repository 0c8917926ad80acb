// The connection scenarios, one table for both rings.
import type { Scenario } from './scenario-world.ts'
import { scenariosOfEnrolment } from './scenarios-enrolment.ts'
import { scenariosOfLife } from './scenarios-life.ts'
import { scenariosOfPolicy } from './scenarios-policy.ts'

export const scenarios: readonly Scenario[] = [...scenariosOfEnrolment, ...scenariosOfPolicy, ...scenariosOfLife]
