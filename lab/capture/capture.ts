// Captures the wire of a lab: starts the capturing process in the wire's namespace, and reads its file afterwards. Used by the
// demo and the netns tests.
import { type ChildProcess, spawn } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { abortable, deadline } from '../../core/base/deadline.ts'
import { MeshError } from '../../core/base/errors.ts'
import { insideNamespace } from '../network.ts'
import { type LabSelector, labPaths, readLab } from '../state.ts'
import { PcapSplitter } from './pcap.ts'
import { CaptureReader, type CaptureSummary } from './summary.ts'

export interface Capture {
  /** The pcap file; it lies in the lab's folder and goes with it, unless a file was named. */
  readonly file: string
  /** Ends the capture and tells what was in it. `markers` are texts to look for in the payload. */
  stop(markers?: readonly string[]): Promise<CaptureSummary>
  /** Ends the capture and removes its file. */
  cancel(): Promise<void>
}

let captures = 0

/** Captures every frame between the hosts of a lab from now on. Throws LAB_FAILED where the capture does not start. */
export async function captureWire(selector: LabSelector, options: { readonly file?: string } = {}): Promise<Capture> {
  const paths = labPaths(selector)
  const { wire } = readLab(paths).plan
  const file = options.file ?? join(paths.folder, `capture-${process.pid}-${++captures}.pcap`)
  const script = fileURLToPath(new URL('./main.ts', import.meta.url))
  const command = [process.execPath, '--disable-warning=ExperimentalWarning', script, wire.bridge, file]
  const [tool = '', ...args] = insideNamespace(wire.netns, command)
  const child = spawn(tool, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const output = new Output(child)
  await output.line('the capture does not start')
  return {
    file,
    stop: async (markers = []) => {
      const counts = JSON.parse(await output.end()) as { readonly dropped: number }
      const summary = await readCapture(file, markers, counts.dropped)
      if (options.file === undefined) await rm(file, { force: true })
      return summary
    },
    cancel: async () => {
      await output.end().catch(() => '')
      await rm(file, { force: true })
    },
  }
}

/** Reads a pcap file from end to end, with bounded memory. */
export async function readCapture(file: string, markers: readonly string[], dropped = 0): Promise<CaptureSummary> {
  const splitter = new PcapSplitter()
  const reader = new CaptureReader(markers)
  for await (const chunk of createReadStream(file, { highWaterMark: 1024 * 1024 })) {
    for (const frame of splitter.push(chunk as Buffer)) reader.add(frame)
  }
  return reader.summary(dropped)
}

/** The lines that the capturing process writes. */
class Output {
  readonly #child: ChildProcess
  readonly #exit: Promise<number | null>
  #text = ''
  #complaint = ''
  #wake: () => void = () => {}

  constructor(child: ChildProcess) {
    this.#child = child
    child.stdout?.on('data', (chunk: Buffer) => {
      this.#text += chunk.toString()
      this.#wake()
    })
    child.stderr?.on('data', (chunk: Buffer) => {
      this.#complaint = (this.#complaint + chunk.toString()).slice(-2_000)
    })
    this.#exit = new Promise((resolve) => {
      child.once('error', (error) => {
        this.#complaint = error.message
        resolve(null)
        this.#wake()
      })
      child.once('close', (code) => {
        resolve(code)
        this.#wake()
      })
    })
  }

  async line(problem: string): Promise<void> {
    const seen = new Promise<void>((resolve, reject) => {
      this.#wake = () => {
        if (this.#text.includes('\n')) resolve()
        else if (this.#complaint !== '' || this.#child.exitCode !== null) {
          reject(new MeshError('LAB_FAILED', `${problem}: ${this.#complaint.trim()}`))
        }
      }
    })
    await abortable(seen, deadline(10_000), () => new MeshError('LAB_FAILED', problem))
  }

  async end(): Promise<string> {
    this.#child.kill('SIGTERM')
    const problem = (): MeshError => new MeshError('LAB_FAILED', `the capture failed: ${this.#complaint.trim()}`)
    const code = await abortable(this.#exit, deadline(30_000), problem)
    if (code !== 0) throw problem()
    return this.#text.trim().split('\n').at(-1) ?? ''
  }
}
