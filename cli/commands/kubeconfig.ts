// `culvert kubeconfig`: prints what kubectl and this CLI need to reach a control plane of this machine.
import type { CommandModule } from 'yargs'
import { print } from '../session.ts'

interface Arguments {
  readonly stateDir: string
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
      .example('$0 kubeconfig > ~/.kube/culvert', 'for kubectl and culvert') as never,
  handler: async (argv) => {
    const { renderKubeconfig } = await import('../../control/kubeconfig.ts')
    print(await renderKubeconfig(argv.stateDir))
  },
}
