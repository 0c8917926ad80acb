// `culvert kubeconfig`: prints what kubectl and this CLI need to reach a control plane of this machine.
import type { CommandModule } from 'yargs'
import { mergeContext } from '../contexts.ts'
import { kubectlFile } from '../kubeconfig.ts'
import { print } from '../session.ts'

interface Arguments {
  readonly stateDir: string
  readonly merge?: string | undefined
  readonly name: string
}

export const kubeconfigCommand: CommandModule<object, Arguments> = {
  command: 'kubeconfig',
  describe: 'Print the kubeconfig of a control plane on this machine',
  builder: (yargs) =>
    yargs
      .option('state-dir', {
        type: 'string',
        default: '/var/lib/culvert/control',
        requiresArg: true,
        describe: 'state directory of the control plane',
      })
      .option('merge', {
        type: 'string',
        describe: "put it into this kubeconfig, or else kubectl's own, instead of printing it",
      })
      .option('name', {
        type: 'string',
        default: 'culvert',
        requiresArg: true,
        describe: 'name of the context, with --merge',
      })
      .example('$0 kubeconfig > ~/.kube/culvert', 'for kubectl and culvert')
      .example('$0 kubeconfig --merge', 'a context of KUBECONFIG or ~/.kube/config')
      .example('$0 kubeconfig --merge ~/.kube/config --name prod', 'one of several meshes') as never,
  handler: async (argv) => {
    const { renderKubeconfig } = await import('../../control/kubeconfig.ts')
    const text = await renderKubeconfig(argv.stateDir)
    if (argv.merge === undefined) return print(text)
    const file = argv.merge === '' ? kubectlFile(process.env) : argv.merge
    mergeContext(file, text, argv.name)
    print(`${file} has the context "${argv.name}" now, and it is the current one`)
  },
}
