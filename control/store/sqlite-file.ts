// The SQLite file below the store: opening, permissions, schema, transactions, and what its errors mean to a person.
import { chmodSync, closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { MeshError } from '../../core/base/errors.ts'

/** Bumped with every change of the tables; an older Culvert refuses a newer file. */
const schemaVersion = 2

/** SQLite's default page. */
const pageBytes = 4096

const schema = `
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE objects (
  grp TEXT NOT NULL, kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
  revision INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (grp, kind, namespace, name)
) WITHOUT ROWID;
CREATE TABLE history (
  revision INTEGER PRIMARY KEY, type TEXT NOT NULL, grp TEXT NOT NULL, kind TEXT NOT NULL, namespace TEXT NOT NULL,
  name TEXT NOT NULL, body TEXT NOT NULL, previous TEXT
);
CREATE TABLE records (
  bucket TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, revision INTEGER NOT NULL, PRIMARY KEY (bucket, key)
) WITHOUT ROWID;
INSERT INTO counters VALUES ('revision', 0), ('compacted', 0), ('records', 0);
`

/** From each older schema to the next. */
const migrations: Readonly<Record<number, string>> = {
  1: `ALTER TABLE records ADD COLUMN revision INTEGER NOT NULL DEFAULT 1; INSERT INTO counters VALUES ('records', 1)`,
}

/** SQLite result codes (sqlite.org/rescode.html) that a person can do something about. */
const advice: Readonly<Record<number, string>> = {
  5: 'it is in use: is another control plane running with the same --state-dir?',
  8: 'it is read-only: check the owner and mode of the file and its folder, and whether the disk is mounted read-only',
  10: 'the disk reports an error: check the disk, then the system log',
  11: 'it is damaged: stop the control plane and restore the file from a backup',
  13: 'the disk or its quota is full: free some space; nothing was changed',
  14: 'it cannot be opened: check that the folder exists and belongs to the user of the control plane',
  26: 'it is not a store, or its beginning is damaged: restore it from a backup, or move it away to start empty',
}

/** Opens or creates the file. Throws STORE_FAILED with what to do about it. */
export function openFile(file: string, maxBytes?: number): DatabaseSync {
  try {
    // before SQLite touches it: the file and what SQLite puts beside it take this mode
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    closeSync(openSync(file, 'a', 0o600))
    chmodSync(file, 0o600)
  } catch (error: unknown) {
    throw new MeshError('STORE_FAILED', `the store ${file} cannot be created: ${(error as Error).message}`, {
      cause: error,
    })
  }
  return guarded(file, () => prepare(file, maxBytes))
}

function prepare(file: string, maxBytes: number | undefined): DatabaseSync {
  const database = new DatabaseSync(file, { timeout: 2000 })
  try {
    // Exclusive: watchers are woken inside this process, so a second writer would go unseen.
    database.exec('PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL')
    const [check] = database.prepare('PRAGMA quick_check(1)').all()
    if (check?.['quick_check'] !== 'ok') {
      throw new MeshError(
        'STORE_FAILED',
        `the store ${file} is damaged (${check?.['quick_check']}): restore it from a backup`,
      )
    }
    migrate(database, file)
    if (maxBytes !== undefined) database.exec(`PRAGMA max_page_count=${Math.ceil(maxBytes / pageBytes)}`)
    return database
  } catch (error: unknown) {
    database.close()
    throw error
  }
}

function migrate(database: DatabaseSync, file: string): void {
  const version = Number(database.prepare('PRAGMA user_version').get()!['user_version'])
  if (version > schemaVersion) {
    throw new MeshError(
      'STORE_FAILED',
      `the store ${file} has schema ${version}, this Culvert knows ${schemaVersion}: use a newer one`,
    )
  }
  if (version === schemaVersion) return
  transaction(database, () => {
    if (version === 0) database.exec(schema)
    else for (let from = version; from < schemaVersion; from += 1) database.exec(migrations[from]!)
    database.exec(`PRAGMA user_version=${schemaVersion}`)
  })
}

/** Runs `work` wholly or not at all; the data is on disk when it returns. */
export function transaction<T>(database: DatabaseSync, work: () => T): T {
  database.exec('BEGIN IMMEDIATE')
  try {
    const result = work()
    database.exec('COMMIT')
    return result
  } catch (error: unknown) {
    // a full disk ends the transaction by itself
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}

/** Runs `work`; an error of SQLite becomes STORE_FAILED with what to do about it. */
export function guarded<T>(file: string, work: () => T): T {
  try {
    return work()
  } catch (error: unknown) {
    if (error instanceof MeshError) throw error
    const code = resultCode(error)
    const reason = code === undefined ? undefined : advice[code]
    const text = error instanceof Error ? error.message : String(error)
    const message = `the store ${file} failed: ${reason === undefined ? text : `${reason} (${text})`}`
    throw new MeshError('STORE_FAILED', message, { cause: error })
  }
}

/** The primary result code: the low byte of an extended one. */
function resultCode(error: unknown): number | undefined {
  const code = error instanceof Error && 'errcode' in error ? error.errcode : undefined
  return typeof code === 'number' ? code & 0xff : undefined
}
