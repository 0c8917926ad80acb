// Preloaded (`NODE_OPTIONS=--import`) into the processes of a lab by soaks that look for leaks: collects all garbage every two
// seconds, so that what is left in memory is what is held. Without it V8 lets garbage lie for as long as there is room.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
setInterval(runInNewContext('gc'), 2_000).unref()
