-- wrk's report as one JSON line, with the percentiles that its own text lacks. Times are microseconds.
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'report: {"requests":%d,"durationUs":%d,"p50Us":%d,"p99Us":%d,"p999Us":%d,"socketErrors":%d,"statusErrors":%d,"timeouts":%d}\n',
    summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9),
    errors.connect + errors.read + errors.write, errors.status, errors.timeout))
end
