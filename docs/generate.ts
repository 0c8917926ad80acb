// Writes the generated pages of docs/ (`npm run docs`).
import { writeFileSync } from 'node:fs'
import { generatedPages } from './pages.ts'

for (const [name, text] of Object.entries(generatedPages())) {
  writeFileSync(new URL(name, import.meta.url), text)
  console.log(`docs/${name}`)
}
