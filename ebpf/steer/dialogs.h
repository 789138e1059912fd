/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Dialogs: which backend has one, how far it is, when it ends (affinity/src/steer/dialog.rs). */
#ifndef RINGSIDE_STEER_DIALOGS_H
#define RINGSIDE_STEER_DIALOGS_H

#include "scan.h"

/* The dialog of a message's Call-ID; null: none, or one that is over. */
INLINE struct dialog *find_dialog(__u32 service, __u64 hash, __u64 now)
{
	struct dialog_key key = { .hash = hash, .service = service };
	struct dialog *dialog = map_lookup(&dialogs, &key);
	struct settings *settings = current_settings();

	if (!dialog || !settings)
		return 0;
	if (dialog->ends && elapsed(dialog->ends, now) >= 0)
		return 0;
	if (elapsed(dialog->last, now) >= (__s64)settings->dialog_idle)
		return 0;
	return dialog;
}

/* Nonzero if the map is full. */
INLINE int keep_dialog(__u32 service, __u64 hash, const struct dialog *dialog)
{
	struct dialog_key key = { .hash = hash, .service = service };

	if (!map_update(&dialogs, &key, dialog, BPF_ANY))
		return 0;
	count(DIALOGS_FULL);
	return -1;
}

/* The first SUBSCRIBE or REFER of a dialog, or that again. */
INLINE int is_initial_other(const struct message *message)
{
	return message->is_sip && (message->kind == SUBSCRIBE || message->kind == REFER) && !message->to_tag;
}

/* One more message to the backend of a dialog. */
INLINE void continue_dialog(struct dialog *dialog, const struct message *message, __u64 now)
{
	note(&dialog->last, now);
	if (message->kind == BYE)
		dialog->ends = now + LINGER;
	if (dialog->backend == NO_BACKEND)
		return;
	if (dialog->life && message->life)
		dialog->life = message->life;
	if (is_initial_invite(message) && dialog->ends && !dialog->asked && !dialog->life) {
		/* A call that was refused is tried again, mostly after a challenge. */
		dialog->ends = now + LINGER;
		dialog->answered = 0;
		dialog->asked = now;
	} else if (is_initial_other(message) && dialog->ends && !dialog->asked && !dialog->answered) {
		/* So is a subscription or a transfer. */
		dialog->ends = now + LINGER;
		dialog->life = message->life;
		dialog->asked = now;
	} else if (is_in_dialog(message) && dialog->asked) {
		/* It goes on waiting: that the client speaks of an answer is no answer. */
		dialog->ends = now + LINGER;
	}
}

/* The backend has taken a dialog. */
INLINE void take_dialog(struct dialog *dialog, __u64 now)
{
	dialog->asked = 0;
	dialog->ends = dialog->life ? now + dialog->life * SECOND : 0;
}

/* Whether a request of this method leaves something behind that later ones need. */
INLINE int makes_dialog(__u32 kind)
{
	return kind == INVITE || kind == SUBSCRIBE || kind == REFER;
}

/* Whether a request of this method belongs to a dialog and leaves it as it is. */
INLINE int stays_within(__u32 kind)
{
	return kind == NOTIFY || kind == INFO || kind == PRACK || kind == UPDATE;
}

/* Whether a request of this method leaves nothing behind that a later one would need. */
INLINE int makes_no_dialog(__u32 kind)
{
	return kind == REGISTER || kind == OPTIONS || kind == MESSAGE || kind == PUBLISH || kind == OTHER;
}

#endif
