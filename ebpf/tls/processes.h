/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Processes: which one is at hand, and whether it is one of those asked for. */
#ifndef RINGSIDE_TLS_PROCESSES_H
#define RINGSIDE_TLS_PROCESSES_H

#include "kernel.h"
#include "maps.h"

INLINE struct process this_process(void)
{
	struct task_struct *task = current_task();
	struct task_struct *leader = field(task, group_leader);
	struct process process = { .start = field(leader, start_time), .id = current_ids() >> 32 };

	return process;
}

/* Tells user space of the process at hand, now and then, so that it looks at its libraries and decides about it. */
INLINE enum decision sighted(const struct process *process)
{
	struct judgement *judgement = map_lookup(&processes, process);
	__u64 now = monotonic_ns();
	struct sighting *sighting;

	if (judgement && now - judgement->told_at < SIGHTING_PAUSE_NS)
		return judgement->decision;
	if (judgement) {
		judgement->told_at = now;
	} else {
		struct judgement first = { .decision = PROCESS_UNDECIDED, .told_at = now };

		map_update(&processes, process, &first, BPF_NOEXIST);
	}
	sighting = ring_reserve(&processes_seen, sizeof(*sighting), 0);
	if (!sighting) {
		count(SIGHTINGS_LOST);
	} else {
		sighting->process_start = process->start;
		sighting->process = process->id;
		sighting->unused = 0;
		ring_submit(sighting, 0);
	}
	return judgement ? judgement->decision : PROCESS_UNDECIDED;
}

INLINE enum decision decision_about(const struct process *process)
{
	__u32 zero = 0;
	const __u64 *is_filtered = map_lookup(&settings, &zero);
	const struct judgement *judgement;

	if (!is_filtered || !*is_filtered)
		return PROCESS_WANTED;
	judgement = map_lookup(&processes, process);
	if (judgement && judgement->decision != PROCESS_UNDECIDED)
		return judgement->decision;
	return sighted(process);
}

#endif
