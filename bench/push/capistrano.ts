// Owns Capistrano as it is measured against: a git repository, a Capfile, and `cap prod deploy` to hosts over ssh.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '#bench/kit/run.ts'
import type { Scope } from '#bench/kit/scope.ts'
import { need, type Tools } from '#bench/kit/tools.ts'
import type { Hosts } from './hosts.ts'

export interface Capistrano {
  /** Makes this directory's content the newest commit. */
  commit(dir: string, message: string): Promise<void>
  deploy(): Promise<{ readonly ms: number }>
}

/** Capistrano, ready to deploy to these hosts. */
export function capistrano(scope: Scope, tools: Tools, hosts: Hosts): Capistrano {
  const dir = scope.directory('capistrano')
  const repository = join(dir, 'repository')
  const project = join(dir, 'project')
  mkdirSync(repository)
  mkdirSync(join(project, 'config/deploy'), { recursive: true })
  writeFileSync(join(project, 'Capfile'), CAPFILE)
  writeFileSync(join(project, 'config/deploy.rb'), deployFile(repository, hosts))
  const servers = hosts.names.map((name) => `server "${name}", user: "root", roles: %w{app}\n`)
  writeFileSync(join(project, 'config/deploy/prod.rb'), servers.join(''))
  const [git, cap] = [need(tools, 'git'), need(tools, 'cap')]
  const env = {
    GIT_AUTHOR_NAME: 'bench',
    GIT_AUTHOR_EMAIL: 'bench@localhost',
    GIT_COMMITTER_NAME: 'bench',
    GIT_COMMITTER_EMAIL: 'bench@localhost',
    GIT_CONFIG_COUNT: '1',
    GIT_CONFIG_KEY_0: 'safe.directory',
    GIT_CONFIG_VALUE_0: '*',
  }
  const inRepository = (...args: readonly string[]) => run([git, ...args], { cwd: repository, env })
  let begun = false
  return {
    async commit(source, message) {
      if (!begun) await inRepository('init', '-q', '-b', 'master')
      begun = true
      await run(
        ['sh', '-c', `find . -mindepth 1 -maxdepth 1 ! -name .git -exec rm -rf {} + && cp -a "$0"/. .`, source],
        {
          cwd: repository,
        },
      )
      await inRepository('add', '-A', '-f')
      await inRepository('commit', '-q', '--allow-empty', '-m', message)
    },
    deploy: () => run([cap, 'prod', 'deploy'], { cwd: project, env }),
  }
}

const CAPFILE = `require "capistrano/setup"
require "capistrano/deploy"
require "capistrano/scm/git"
install_plugin Capistrano::SCM::Git
`

function deployFile(repository: string, { config, key, place }: Hosts): string {
  return `set :application, "web"
set :repo_url, "${repository}"
set :branch, "master"
set :deploy_to, "${place}"
set :keep_releases, 3
set :format, :simpletext
set :log_level, :error
set :ssh_options, { config: "${config}", keys: ["${key}"], user: "root", verify_host_key: :never }
`
}
