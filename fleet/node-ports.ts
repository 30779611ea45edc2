// Owns the ports that only a node has: its service in the load balancer, and folders that it watches.

/**
 * Maintenance mode of a service at this machine's Consul agent: whoever balances load by Consul's health stops sending to it. What is ours
 * is known by `owner`, the first words of its reason: nobody else's maintenance is ever lifted, and all of these may be repeated.
 */
export interface Maintenance {
  /**
   * `foreign`: somebody else's maintenance stands already and stays as it is; `unknown`: the agent knows no such service.
   * @throws FleetError of kind transient or refused
   */
  enter(
    service: string,
    note: { readonly owner: string; readonly reason: string },
    signal: AbortSignal,
  ): Promise<'entered' | 'foreign' | 'unknown'>
  /**
   * Lifts what `owner` put on. `none`: there is no maintenance. When it throws, it goes on trying by itself for as long as the program lives,
   * until the next `enter` or `leave` of the service. @throws FleetError of kind transient or refused
   */
  leave(service: string, owner: string, signal: AbortSignal): Promise<'left' | 'foreign' | 'none' | 'unknown'>
}

/**
 * Calls `changed` soon after something in a folder was added, changed or removed, until disposed of. A hint, never a proof: it may call too often
 * and may miss a change, so whoever needs the truth reads the folder now and then. Never throws; a folder that is not there is silent.
 */
export type WatchFolder = (folder: string, changed: () => void) => AsyncDisposable
