// Owns the dashboard of the fleet: what each ring is ordered to run, who does, and who does not.
import { figure, labelVariable, lines, page, row, rows } from './kit.ts'

const OF = '{app="$app", ring=~"$ring"}'
/** Several conductors may show the same: each figure once. */
const once = (by: string, expr: string): string => `max by (${by}) (${expr})`

export const fleet = () =>
  page({
    uid: 'hotcold-fleet',
    title: 'Hotcold: fleet convergence',
    says: 'What each ring is ordered to run, who runs it, and who does not.',
    from: 'now-6h',
    variables: [labelVariable('ring', 'label_values(conductor_roster_nodes{app="$app"}, ring)', { many: true })],
    panels: [
      row('Now'),
      figure('Converged', [[once('ring', `conductor_converged_ratio${OF}`), '{{ring}}']], {
        says: 'Nodes that run the ordered build and have proved it, of all nodes of the ring.',
        unit: 'percentunit',
        whole: true,
        width: 8,
      }),
      figure(
        'Silent',
        [[`sum(${once('ring', `conductor_nodes{app="$app", ring=~"$ring", state="silent"}`)})`, 'silent']],
        {
          says: 'Nodes without a living session in Consul: nobody knows what they run now.',
          worse: [1, 2],
        },
      ),
      figure(
        'Failed',
        [[`sum(${once('ring', `conductor_nodes{app="$app", ring=~"$ring", state="failed"}`)})`, 'failed']],
        {
          says: 'Nodes that refuse the ordered build or are parked.',
          worse: [1, 2],
        },
      ),
      figure('Skewed', [[`sum(${once('ring', `conductor_skewed_nodes${OF}`)})`, 'skewed']], {
        says: 'Nodes that do not run what the order puts on them.',
        worse: [1, 5],
      }),
      figure('Age of the view', [['min(conductor_view_age_seconds{app="$app"})', 'age']], {
        says: 'How long ago a conductor saw the fleet last. All figures of this page are that old.',
        unit: 's',
        worse: [30, 60],
      }),
      rows('Orders in force', once('ring, build, fallback', `conductor_target_info${OF}`), {
        says: 'What the target key of each ring names.',
      }),
      rows('Keys that hold no order of the conductor', once('ring, code', `conductor_target_trouble${OF}`), {
        says: 'Empty while all is well. `conduct status` tells the story, `conduct rollback` writes over it.',
      }),
      row('Over time'),
      lines('Nodes by state', [[`sum by (state) (${once('ring, state', `conductor_nodes${OF}`)})`, '{{state}}']], {
        says: 'Each node is in one state; together they are the roster.',
        stacked: true,
      }),
      lines(
        'Nodes by phase',
        [[`sum by (phase) (${once('ring, phase', `conductor_phase_nodes${OF}`)})`, '{{phase}}']],
        {
          says: 'The phase that each node said last; together they are the roster.',
          stacked: true,
        },
      ),
      lines(
        'Ordered, exposed, converged',
        [
          [once('ring', `conductor_ordered_ratio${OF}`), '{{ring}} ordered'],
          [once('ring', `conductor_exposed_ratio${OF}`), '{{ring}} exposed'],
          [once('ring', `conductor_converged_ratio${OF}`), '{{ring}} converged'],
        ],
        {
          says: 'The share that the order puts on the build, that runs it, and that has proved it.',
          unit: 'percentunit',
        },
      ),
      lines('Skewed nodes', [[once('ring', `conductor_skewed_nodes${OF}`), '{{ring}}']], {
        says: 'Nodes that do not run what the order puts on them: high for a moment after each order, then nothing.',
      }),
      lines('Generation', [[once('ring', `conductor_target_generation${OF}`), '{{ring}}']], {
        says: 'Only rises: each step is an order.',
      }),
      lines('Troubles', [[once('ring, code', `conductor_troubled_nodes${OF}`), '{{ring}} {{code}}']], {
        says: 'Nodes that report something wrong, by its code.',
      }),
      row('Conductors'),
      lines(
        'Leading and ready',
        [
          ['conductor_leading{app="$app"}', '{{instance}} leads'],
          ['conductor_ready{app="$app"}', '{{instance}} is ready'],
          [once('app', 'conductor_lease_held{app="$app"}'), 'somebody holds the lease'],
        ],
        { says: 'One leads; the others stand by.' },
      ),
      lines(
        'Requests to Consul',
        [['sum by (outcome) (rate(conductor_consul_request_seconds_count[$__rate_interval]))', '{{outcome}}']],
        { says: 'Per second, by outcome.' },
      ),
      lines(
        'Requests to the store',
        [
          [
            'sum by (kind, outcome) (rate(conductor_store_request_seconds_count[$__rate_interval]))',
            '{{kind}} {{outcome}}',
          ],
        ],
        { says: 'Per second, by kind and outcome.' },
      ),
      lines('Clients of the event stream', [['conductor_event_clients{app="$app"}', '{{instance}}']], {
        says: 'Consoles and whoever else listens to what happens.',
      }),
      lines('Uptime', [['time() - conductor_start_time_seconds{app="$app"}', '{{instance}}']], {
        says: 'How long each conductor has been running.',
        unit: 's',
      }),
    ],
  })
