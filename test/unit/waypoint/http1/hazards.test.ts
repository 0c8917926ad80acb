// Every hazard of both readers, whole and byte by byte.
import t from 'tap'
import { Events, feed, readRequests, responseReader, singleBytes } from '../../../helpers/http1-events.ts'
import { requestHazards } from '../../../helpers/http1-hazards.ts'
import { responseHazards } from '../../../helpers/http1-response-hazards.ts'

for (const { name, input, outcome } of requestHazards) {
  t.test(`request: ${name}`, (t) => {
    const bytes = Buffer.from(input, 'latin1')
    const whole = readRequests([bytes])
    if (typeof outcome === 'string') t.equal(whole.at(-1), `error ${outcome}`)
    else t.same(whole, outcome)
    t.same(readRequests(singleBytes(bytes)), whole, 'byte by byte')
    t.end()
  })
}

for (const { name, input, expected, outcome, end, reusable } of responseHazards) {
  t.test(`response: ${name}`, (t) => {
    const bytes = Buffer.from(input, 'latin1')
    for (const pieces of [[bytes], singleBytes(bytes)]) {
      const events = new Events()
      const reader = responseReader(events)
      reader.expect(expected)
      t.same(feed(reader, events, pieces, end), outcome)
      t.equal(reader.reusable, reusable ?? false)
    }
    t.end()
  })
}

t.test('what a hazard is refused with comes before any head, unless only the body is wrong', (t) => {
  for (const { name, input, outcome } of requestHazards) {
    if (typeof outcome !== 'string' || /^(?:chunks|trailers)/.test(name)) continue
    t.same(readRequests([Buffer.from(input, 'latin1')]), [`error ${outcome}`], name)
  }
  t.end()
})
