/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the calls of a generated module need beside the kernel's own functions: to release what an actor holds, to stand on a CPU
 * where it may spin, and to keep a work item in its queue until the schedule lets a worker take it.
 */
#include <linux/completion.h>
#include <linux/notifier.h>
#include <linux/rcuwait.h>
#include <linux/rwsem.h>
#include <linux/sched/signal.h>
#include <linux/spinlock.h>
#include <linux/srcu.h>
#include <linux/stop_machine.h>
#include <linux/workqueue.h>

#define GRACE 250 /* a grace period has then begun */

static void __maybe_unused let_up_read(struct ctx *x, void *lock, int index) { up_read(lock); }
static void __maybe_unused let_up_write(struct ctx *x, void *lock, int index) { up_write(lock); }
static void __maybe_unused let_srcu(struct ctx *x, void *lock, int index) { srcu_read_unlock(lock, index); }

static void __maybe_unused let_rcu(struct ctx *x, void *lock, int index)
{
	x->pinned--;
	rcu_read_unlock();
}

static void __maybe_unused let_spin(struct ctx *x, void *lock, int index)
{
	x->pinned--;
	spin_unlock(lock);
}

/* To the CPU of its own: from there on it may spin at gates. */
static void __maybe_unused pin(struct ctx *x, int cpu)
{
	if (!stays(x) && set_cpus_allowed_ptr(current, cpumask_of(cpu)))
		disagree("no task runs on CPU %d at entry %d", cpu, head);
}

static void __maybe_unused queue_up(struct ctx *x, struct wait_queue_head *queue, struct wait_queue_entry *entry)
{
	if (!entry->func)
		init_wait(entry);
	prepare_to_wait(queue, entry, TASK_UNINTERRUPTIBLE);
	x->queued = true;
}

static void __maybe_unused sleep(struct ctx *x)
{
	schedule();
	x->queued = false;
}

/*
 * A work item, in an ordered queue of its own. Before it stands another item: the gate at which the worker waits for its turn, so that
 * this one is pending until then.
 */
struct item {
	struct work_struct work, gate;
	struct workqueue_struct *queue;
	struct ctx x;
	int label;
	bool gated;
};

static void at_gate(struct work_struct *work)
{
	struct item *item = container_of(work, struct item, gate);

	task[item->x.who] = current;
	gate(&item->x, item->label);
	item->gated = false;
}

static void __maybe_unused prepare_item(struct item *item, void (*run)(struct work_struct *work))
{
	item->queue = alloc_ordered_workqueue("litmus", 0);
	INIT_WORK(&item->work, run);
	INIT_WORK(&item->gate, at_gate);
}

static void __maybe_unused reset_item(struct item *item, int who, int label)
{
	item->x = (struct ctx){ .who = who, .cpu = -1 };
	item->label = where[who] = label;
	item->gated = false;
}

static void __maybe_unused queue_item(struct item *item)
{
	if (!item->gated) {
		item->gated = true;
		queue_work(item->queue, &item->gate);
	}
	queue_work(item->queue, &item->work);
}

/* A callback of a notifier chain. */
struct notified {
	struct notifier_block block;
	struct blocking_notifier_head *chain; /* where it is registered */
};

static void __maybe_unused listen(struct notified *who, struct blocking_notifier_head *chain)
{
	blocking_notifier_chain_register(chain, &who->block);
	who->chain = chain;
}

static void __maybe_unused forget(struct notified *who)
{
	if (who->chain)
		blocking_notifier_chain_unregister(who->chain, &who->block);
	who->chain = NULL;
}

static void __maybe_unused forget_wait(struct rcuwait *wait)
{
	if (rcu_access_pointer(wait->task) == current)
		finish_rcuwait(wait);
}

/* It is not exported. */
static int __maybe_unused stop_locked(cpu_stop_fn_t function, void *data, const struct cpumask *cpus)
{
	static int (*stop)(cpu_stop_fn_t function, void *data, const struct cpumask *cpus);

	if (!stop)
		stop = symbol("stop_machine_cpuslocked");
	return stop ? stop(function, data, cpus) : -ENOENT;
}

/* What of a semaphore the models know: its writer, and how many readers it has. */
static int __maybe_unused writer_of(struct rw_semaphore *sem) { return atomic_long_read(&sem->count) & 1; }
static int __maybe_unused readers_of(struct rw_semaphore *sem) { return atomic_long_read(&sem->count) >> 8; }
