// Owns the dashboard of the four DORA figures: how often, how quickly, how often in vain, how soon mended.
import { figure, labelVariable, lines, page, row } from './kit.ts'

const OF = '{app="$app", ring="$ring"}'

/** Several conductors tell the same history: each figure once. */
const deploys = (range: string): string => `sum(max by (outcome) (increase(conductor_deploys_total${OF}[${range}])))`
const failed = (range: string): string =>
  `(max(increase(conductor_deploys_total{app="$app", ring="$ring", outcome="rolledBack"}[${range}])) + max(increase(conductor_reverted_deploys_total${OF}[${range}])))`
const failureRate = (range: string): string => `${failed(range)} / (${deploys(range)} > 0)`
const quantile = (q: number, name: string, range: string): string =>
  `histogram_quantile(${q}, sum by (le) (increase(${name}_bucket${OF}[${range}])))`

export const dora = () =>
  page({
    uid: 'hotcold-dora',
    title: 'Hotcold: delivery (DORA)',
    says: 'The four figures of delivery, of one ring: docs/metrics.md says what exactly is counted.',
    from: 'now-30d',
    variables: [
      labelVariable('ring', 'label_values(conductor_deploys_total{app="$app"}, ring)', { first: 'production' }),
    ],
    panels: [
      row('In the time shown'),
      figure('Deploys a day', [[`${deploys('$__range')} / ($__range_s / 86400)`, 'a day']], {
        says: 'Rollouts that ran a new build on nodes of the ring, whatever became of them.',
        width: 6,
      }),
      figure('Lead time', [[quantile(0.5, 'conductor_lead_time_seconds', '$__range'), 'median']], {
        says: 'From the publication of a build until every node of the ring ran it.',
        unit: 's',
        width: 6,
      }),
      figure('Change failure rate', [[failureRate('$__range'), 'of deploys']], {
        says: 'Deploys that were taken back, on their way or later.',
        unit: 'percentunit',
        worse: [0.15, 0.3],
        width: 6,
      }),
      figure('Time to restore', [[quantile(0.5, 'conductor_time_to_restore_seconds', '$__range'), 'median']], {
        says: 'From the first order that exposed nodes to a build that was taken back until nobody ran it.',
        unit: 's',
        width: 6,
      }),
      row('Over time'),
      lines('Deploys in a day', [[`max by (outcome) (increase(conductor_deploys_total${OF}[1d]))`, '{{outcome}}']], {
        says: 'By what became of them.',
        stacked: true,
      }),
      lines(
        'Lead time in a week',
        [
          [quantile(0.5, 'conductor_lead_time_seconds', '7d'), 'median'],
          [quantile(0.9, 'conductor_lead_time_seconds', '7d'), '90 %'],
        ],
        { says: 'Of the seven days before.', unit: 's' },
      ),
      lines('Change failure rate in a week', [[failureRate('7d'), 'of deploys']], {
        says: 'Of the seven days before.',
        unit: 'percentunit',
      }),
      lines('Time to restore in a week', [[quantile(0.5, 'conductor_time_to_restore_seconds', '7d'), 'median']], {
        says: 'Of the seven days before.',
        unit: 's',
      }),
      lines(
        'Rollouts in a day',
        [['max by (outcome) (increase(conductor_rollouts_total{app="$app"}[1d]))', '{{outcome}}']],
        {
          says: 'Of the whole app, those that reached no node of this ring too.',
          stacked: true,
        },
      ),
      lines(
        'Events in a day',
        [['max by (event) (increase(conductor_history_events_total{app="$app"}[1d]))', '{{event}}']],
        {
          says: 'What the history tells, by event.',
        },
      ),
    ],
  })
