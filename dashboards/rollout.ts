// Owns the dashboard of a rollout: where it stands, what it waits for, how long its parts take.
import { figure, labelVariable, lines, page, row, rows, states, words } from './kit.ts'

const APP = '{app="$app"}'
const RING = '{app="$app", ring=~"$ring"}'

/** Several conductors tell the same history: a quantile is not moved by that. */
const quantile = (q: number, name: string, by: string, of: string): string =>
  `histogram_quantile(${q}, sum by (le, ${by}) (increase(${name}_bucket${of}[$__range])))`

export const rollout = () =>
  page({
    uid: 'hotcold-rollout',
    title: 'Hotcold: rollout',
    says: 'The rollout in progress or the last one, what it waits for, and how long such things take.',
    from: 'now-1h',
    variables: [labelVariable('ring', 'label_values(conductor_roster_nodes{app="$app"}, ring)', { many: true })],
    panels: [
      row('Now'),
      words('Phase', [`max by (phase) (conductor_rollout_phase${APP}) == 1`, '{{phase}}'], {
        says: 'Where the rollout in progress or the last one stands.',
      }),
      words('Waits for', [`max by (code) (conductor_rollout_waits${APP})`, '{{code}}'], {
        says: 'The first reason why it waits, as in docs/why.md. `conduct why` tells the rest.',
      }),
      figure('Held', [[`max(conductor_rollout_held${APP})`, 'held']], {
        says: '1 while somebody holds it: `conduct status` says who and why, `conduct resume` goes on.',
        worse: [1, 1],
      }),
      figure(
        'Stage',
        [
          [`max(conductor_rollout_stage${APP})`, 'stage'],
          [`max(conductor_rollout_stages${APP})`, 'of'],
        ],
        { says: 'The stage in hand, of how many.' },
      ),
      figure(
        'Under way for',
        [
          [
            `(time() - max(conductor_rollout_start_time_seconds${APP})) * max(conductor_rollout_open${APP})`,
            'since it began',
          ],
        ],
        { says: 'How long the open rollout has been under way; 0 where none is open.', unit: 's' },
      ),
      figure('Holds of the line', [[`max(conductor_line_holds${APP})`, 'holds']], {
        says: 'Holds of operators that count now: `conduct unhold` lifts one.',
        worse: [1, 2],
      }),
      rows('Rollout', `max by (rollout, build, fallback) (conductor_rollout_info${APP})`, {
        says: 'The rollout in progress or the last one.',
      }),
      figure('Exposed nodes', [[`max by (ring) (conductor_exposed_nodes${RING})`, '{{ring}}']], {
        says: 'Nodes of each ring that run the ordered build.',
      }),
      figure('Waived nodes', [[`sum(max by (ring) (conductor_waived_nodes${RING}))`, 'waived']], {
        says: 'Nodes that the open rollout does not wait for, because an operator said so.',
        worse: [1, 5],
      }),
      figure('Next slot', [[`max(conductor_next_slot_time_seconds${APP}) - time()`, 'until then']], {
        says: 'When the calendar fires next.',
        unit: 's',
      }),
      row('Over time'),
      states('Phases', [`max by (phase) (conductor_rollout_phase${APP}) == 1`, '{{phase}}'], {
        says: 'Which phase held when.',
      }),
      states('Waits', [`max by (code) (conductor_rollout_waits${APP})`, '{{code}}'], {
        says: 'What was waited for, when.',
      }),
      lines('Exposure', [[`max by (ring) (conductor_exposed_ratio${RING})`, '{{ring}}']], {
        says: 'The share of each ring that runs the ordered build.',
        unit: 'percentunit',
      }),
      lines(
        'Out of service or on their way',
        [
          [
            `sum by (phase) (max by (ring, phase) (conductor_phase_nodes{app="$app", ring=~"$ring", phase=~"draining|swapping|restarting|verifying|reverting"}))`,
            '{{phase}}',
          ],
          [`sum(max by (ring) (conductor_nodes{app="$app", ring=~"$ring", state="working"}))`, 'working'],
        ],
        { says: 'Nodes that are draining, swapping, restarting, verifying or reverting.' },
      ),
      row('Durations, in the time shown'),
      lines(
        'Time to converge',
        [
          [quantile(0.5, 'conductor_time_to_converge_seconds', 'ring', RING), '{{ring}} median'],
          [quantile(0.9, 'conductor_time_to_converge_seconds', 'ring', RING), '{{ring}} 90 %'],
        ],
        { says: 'From the first order of a stage until all that it is about run the build.', unit: 's' },
      ),
      lines('Stages', [[quantile(0.9, 'conductor_stage_seconds', 'ring', RING), '{{ring}} 90 %']], {
        says: 'How long stages take, their soak included.',
        unit: 's',
      }),
      lines('Rollouts', [[quantile(0.9, 'conductor_rollout_seconds', 'outcome', APP), '{{outcome}} 90 %']], {
        says: 'From the beginning of a release to its end.',
        unit: 's',
      }),
      lines('Rollbacks', [[quantile(0.9, 'conductor_rollback_seconds', 'app', APP), '90 %']], {
        says: 'From the decision to go back until nobody runs the build any more.',
        unit: 's',
      }),
      row('What happened'),
      lines(
        'Events',
        [[`max by (event) (increase(conductor_history_events_total${APP}[$__rate_interval]))`, '{{event}}']],
        { says: 'Entries of the history, by event.' },
      ),
      lines(
        'Slots',
        [
          [
            `sum by (outcome) (max by (outcome, reason) (increase(conductor_slots_total${APP}[$__range])))`,
            '{{outcome}}',
          ],
          [
            `max by (reason) (increase(conductor_slots_total{app="$app", outcome="skipped"}[$__range])) > 0`,
            'skipped: {{reason}}',
          ],
        ],
        { says: 'What became of the slots of the calendar, and why.' },
      ),
    ],
  })
