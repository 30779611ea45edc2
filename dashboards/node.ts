// Owns the dashboard of nodes: one or a few, by what their pullers say.
import { figure, labelVariable, lines, page, row, rows, states, words } from './kit.ts'

const OF = '{app="$app", ring=~"$ring", instance=~"$instance"}'
const and = (more: string): string => `{app="$app", ring=~"$ring", instance=~"$instance", ${more}}`

export const node = () =>
  page({
    uid: 'hotcold-node',
    title: 'Hotcold: node',
    says: 'What one node or a few are doing, what it costs, and what is wrong with them.',
    from: 'now-3h',
    variables: [
      labelVariable('ring', 'label_values(puller_armed{app="$app"}, ring)', { many: true }),
      labelVariable('instance', 'label_values(puller_armed{app="$app", ring=~"$ring"}, instance)', { many: true }),
    ],
    panels: [
      row('Now'),
      words('Phase', [`count by (phase) (puller_phase${OF} == 1)`, '{{phase}}'], { says: 'Where they stand.' }),
      figure('Armed', [[`avg(puller_armed${OF})`, 'armed']], {
        says: 'Share of nodes whose rollback is a rename and needs no sweep.',
        unit: 'percentunit',
        whole: true,
      }),
      figure('Refusing', [[`sum(puller_refused${OF})`, 'refusing']], {
        says: 'Nodes that refuse what they are asked to run: `conduct why NODE` says why, `conduct retry` asks once more.',
        worse: [1, 2],
      }),
      figure(
        'Not scraped',
        [['count(up{job="puller", app="$app", ring=~"$ring", instance=~"$instance"} == 0) or vector(0)', 'down']],
        {
          says: 'Pullers that Prometheus does not reach.',
          worse: [1, 2],
        },
      ),
      figure('Starts', [[`max(changes(puller_start_time_seconds${OF}[$__range]))`, 'of one puller']], {
        says: 'Most often that one puller was started in the time shown.',
        worse: [1, 3],
      }),
      figure(
        'Saved',
        [
          [
            `sum(puller_kept_bytes_total${OF} + puller_copied_bytes_total${OF}) / sum(puller_kept_bytes_total${OF} + puller_copied_bytes_total${OF} + puller_fetched_bytes_total${OF})`,
            'of all bytes',
          ],
        ],
        { says: 'Bytes of builds that were on the node already, of all that were needed.', unit: 'percentunit' },
      ),
      rows('Builds', `puller_info${OF}`, { says: 'What lies in hot and in cold.', hide: ['app'] }),
      rows('Troubles', `puller_trouble${OF}`, { says: 'What is wrong now; empty while all is well.', hide: ['app'] }),
      row('Over time'),
      states('Phases', [`puller_phase${OF} == 1`, '{{instance}} {{phase}}'], { says: 'Which phase held when.' }),
      lines(
        'Time by phase',
        [[`sum by (phase) (rate(puller_phase_seconds_total${OF}[$__rate_interval]))`, '{{phase}}']],
        {
          says: 'Nodes in each phase, on average.',
          stacked: true,
        },
      ),
      lines(
        'Generations behind',
        [
          [
            `max by (app, ring) (conductor_target_generation${'{app="$app"}'}) - on (app, ring) group_right () puller_target_generation${OF}`,
            '{{instance}}',
          ],
        ],
        { says: 'How many orders a node has not accepted yet.' },
      ),
      lines(
        'Moves',
        [
          [
            `histogram_quantile(0.9, sum by (le, outcome) (increase(puller_move_seconds_bucket${OF}[$__range])))`,
            '{{outcome}} 90 %',
          ],
        ],
        {
          says: 'From draining until at rest again, by where that led: `back` and `reverted` are rollbacks.',
          unit: 's',
        },
      ),
      row('Staging'),
      lines(
        'Bytes',
        [
          [`sum(rate(puller_fetched_bytes_total${OF}[$__rate_interval]))`, 'fetched'],
          [`sum(rate(puller_kept_bytes_total${OF}[$__rate_interval]))`, 'kept in place'],
          [`sum(rate(puller_copied_bytes_total${OF}[$__rate_interval]))`, 'copied on the node'],
        ],
        { says: 'Per second: what crossed the network, and what did not have to.', unit: 'bytes' },
      ),
      lines('Stagings', [[`sum by (how) (increase(puller_stagings_total${OF}[$__range]))`, '{{how}}']], {
        says: 'By the way they took.',
      }),
      lines('Swaps', [[`sum by (outcome) (increase(puller_swaps_total${OF}[$__range]))`, '{{outcome}}']], {
        says: 'Moves of the hot link.',
      }),
      lines(
        'Jobs',
        [
          [
            `histogram_quantile(0.9, sum by (le, job) (increase(puller_job_seconds_bucket${and('job!="wait"')}[$__range])))`,
            '{{job}} 90 %',
          ],
        ],
        { says: 'How long each kind of job takes.', unit: 's' },
      ),
      row('The world of a node'),
      lines(
        'Requests to Consul',
        [[`sum by (outcome) (rate(puller_consul_request_seconds_count${OF}[$__rate_interval]))`, '{{outcome}}']],
        { says: 'Per second, by outcome.' },
      ),
      lines(
        'Requests to the store',
        [
          [
            `sum by (kind, outcome) (rate(puller_store_request_seconds_count${OF}[$__rate_interval]))`,
            '{{kind}} {{outcome}}',
          ],
        ],
        { says: 'Per second, by kind and outcome.' },
      ),
      lines(
        'Requests to the store, duration',
        [
          [
            `histogram_quantile(0.9, sum by (le, kind) (increase(puller_store_request_seconds_bucket${OF}[$__range])))`,
            '{{kind}} 90 %',
          ],
        ],
        { says: 'Until the last byte.', unit: 's' },
      ),
      lines('Memory', [[`puller_resident_memory_bytes${OF}`, '{{instance}}']], {
        says: 'Of the puller process.',
        unit: 'bytes',
      }),
    ],
  })
