// Metrics of the ledger, its journal and its archive; the others stand in names.ts.

export interface MetricDefinition {
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly labels: readonly string[]
  readonly help: string
  /** Upper bounds, ascending; histograms only. */
  readonly buckets?: readonly number[]
  /** What a stored value is divided by at a scrape: counts of nano become units. */
  readonly divisor?: number
}

export const LEDGER_METRICS = {
  storeUp: { name: 'sluice_store_up', type: 'gauge', labels: [], help: '1 while the store takes rows.' },
  storeRisk: {
    name: 'sluice_store_risk',
    type: 'gauge',
    labels: ['risk'],
    help: '1 while the configuration of Redis may lose what it is given: evicts (a maxmemory-policy other than noeviction), forgets (neither appendonly nor save).',
  },
  instanceTaken: {
    name: 'sluice_store_instance_taken',
    type: 'gauge',
    labels: [],
    help: '1 while another process ships rows under the name of this instance, and those of this one wait.',
  },
  journalRows: {
    name: 'sluice_journal_rows',
    type: 'gauge',
    labels: [],
    help: 'Rows of the journal that are not shipped yet.',
  },
  journalOldestAge: {
    name: 'sluice_journal_oldest_age_seconds',
    type: 'gauge',
    labels: [],
    help: 'Age of the oldest row that is not shipped yet.',
  },
  walBytes: {
    name: 'sluice_wal_bytes',
    type: 'gauge',
    labels: [],
    help: "Size of SQLite's write-ahead log.",
  },
  checkpointAge: {
    name: 'sluice_checkpoint_age_seconds',
    type: 'gauge',
    labels: [],
    help: 'Time since the write-ahead log was last moved into its file as a whole.',
  },
  journalBytesUnread: {
    name: 'sluice_journal_unread_bytes_total',
    type: 'counter',
    labels: [],
    help: "Bytes of the journal's log that could not be read back at the start; their segments are kept aside.",
  },
  rowsLost: {
    name: 'sluice_journal_rows_lost_total',
    type: 'counter',
    labels: [],
    help: 'Rows that the store had lost and that the journal no longer had when they were to be sent again.',
  },
  archiving: {
    name: 'sluice_archive_holder',
    type: 'gauge',
    labels: [],
    help: '1 while this instance is the ledger of record of its fleet.',
  },
  archiveLag: {
    name: 'sluice_archive_lag_seconds',
    type: 'gauge',
    labels: [],
    help: 'Age of the oldest row in Redis that the archive on this instance does not have.',
  },
  rowsUnarchived: {
    name: 'sluice_archive_rows_missed_total',
    type: 'counter',
    labels: [],
    help: 'Rows that left Redis, as it keeps a bounded number, before the archive had them; their sums are kept.',
  },
  countersRebuilt: {
    name: 'sluice_counters_rebuilt_total',
    type: 'counter',
    labels: [],
    help: 'Counters by hour or day that did not say what the rows say and were made anew from them.',
  },
} as const satisfies Record<string, MetricDefinition>
