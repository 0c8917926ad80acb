// `culvert kubeconfig`: prints what kubectl and this CLI need to reach a control plane of this machine.
import type { CommandModule } from 'yargs'
import { mergeContext } from '../contexts.ts'
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
        requiresArg: true,
        describe: 'put it into this kubeconfig instead of printing it',
      })
      .option('name', {
        type: 'string',
        default: 'culvert',
        requiresArg: true,
        describe: 'name of the context, with --merge',
      })
      .example('$0 kubeconfig > ~/.kube/culvert', 'for kubectl and culvert')
      .example('$0 kubeconfig --merge ~/.kube/config --name prod', 'one of several meshes') as never,
  handler: async (argv) => {
    const { renderKubeconfig } = await import('../../control/kubeconfig.ts')
    const text = await renderKubeconfig(argv.stateDir)
    if (argv.merge === undefined) return print(text)
    mergeContext(argv.merge, text, argv.name)
    print(`${argv.merge} has the context "${argv.name}" now, and it is the current one`)
  },
}
