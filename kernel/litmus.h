/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Gates: a schedule is written to /proc/litmus/run, and each actor of the generated module waits at a gate until the schedule's
 * head is its step. The functions of the kernel that a policy calls are the kernel's own. There is no SEAMCALL here: VMX and the
 * TDX module are a mock.
 *
 * A step ends when its actor comes to its next gate. A HIDDEN step lies inside a function of the kernel: that the actor comes to
 * its next gate shows that it was taken. ENTER lets an actor into a lock that the model says is not free; it must block there.
 * FATAL is a step in which the kernel ends the task by BUG_ON; the console says so.
 *
 * The writer of cpu_hotplug_lock passes gates too as a CPU comes, in two callbacks of this module that are always registered:
 * one where it has the lock, and one where the CPU is about to become active.
 *
 * TAKES is the step of an actor that was let in early: it waits behind the kernel's function until the step is due.
 *
 * Actors wait on CPU WAITING. One that holds a spin lock, reads under RCU or is on its way to schedule() cannot sleep at a gate: it
 * spins there, on a CPU of its own (SPOT). Each that sends IPIs does so from a CPU of its own, as it cannot be preempted there while others
 * spin at gates. That CPU is among those that run the handler: its own turn comes when all others have been sent the IPI, which
 * ends the step. So IPIs are sent in the order of the schedule.
 */
#include <linux/module.h>
#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/kthread.h>
#include <linux/delay.h>
#include <linux/mutex.h>
#include <linux/percpu-rwsem.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/smp.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/wait.h>
#include "symbol.h"

enum kind { STEP, HIDDEN, ENTER, FATAL, TAKES };
enum { INSIDE = -1, NOWHERE = -2 };
#define MAX_STEPS 512
#define MAX_WHO 256
#define SENDER(i) (N_CPUS + (i))
#ifndef SPOTS
#define SPOTS 0
#endif
#ifndef QUEUES
#define QUEUES 0
#endif
#define SPOT(i, x) (N_CPUS + SENDERS + (i) + ((x)->who % 16 == ALONE ? 0 : (x)->who % 16))
#define WAITING (N_CPUS + SENDERS + SPOTS)
#define ALONE 15 /* the instance of an actor that is no CPU's */
#define WHO(actor, instance) ((actor) * 16 + (instance))

struct entry {
	int kind, who, cpu, label, after, n_choices; /* after: the entry that lets it through, of a TAKES */
	u8 choices[8];
	bool seen;
};

struct ctx;

struct held {
	void (*release)(struct ctx *x, void *lock, int index);
	void *lock;
	int index;
};

struct ctx {
	int who, cpu, choice, held, left; /* left: CPUs that have not run the handler, or a loop of the actor */
	struct entry now;
	struct held locks[8];
	struct wait_queue_entry entries[QUEUES + 1];
	bool atomic, moves;
	int pinned; /* spin locks held, and RCU's read side */
	bool queued; /* its state is that of a sleeper */
	bool alone; /* in stop_machine() */
};

static struct entry plan[MAX_STEPS];
static int n_plan, head, owner, where[MAX_WHO];
static bool busy, over = true;
static struct task_struct *task[MAX_WHO];
static char wrong[512], *notes;
static int n_notes, last_errno[NATIVES];
static unsigned long moved; /* jiffies of the last progress */
static DEFINE_RAW_SPINLOCK(gate_lock);
static DECLARE_WAIT_QUEUE_HEAD(gate_queue);
static struct percpu_rw_semaphore *hotplug_lock, *memory_lock;
static struct { int cpu, up, who, result; bool asked, queued, over, done; } hot;
static atomic_t alive;
static unsigned int (*stack_of)(struct task_struct *who, unsigned long *store, unsigned int size, unsigned int skip);

#define NOTE(...) do { if (n_notes < 60000) n_notes += scnprintf(notes + n_notes, 65536 - n_notes, __VA_ARGS__); } while (0)

static void disagree(const char *format, ...)
{
	va_list arguments;

	if (wrong[0])
		return;
	va_start(arguments, format);
	vsnprintf(wrong, sizeof(wrong), format, arguments);
	va_end(arguments);
	over = true;
}

static spinlock_t *spins_for[MAX_WHO];
static int patience[MAX_WHO]; /* so often it must be seen to be blocked, beside a few times */
static bool entered[MAX_WHO]; /* it was let in early, and blocks */

/* The kernel does not say so itself: a task sleeps in a lock, or spins for one on its CPU. */
static bool blocked(int who)
{
	if (!task[who])
		return false;
	if (spins_for[who])
		return spin_is_locked(spins_for[who]) && READ_ONCE(task[who]->on_cpu);
	return READ_ONCE(task[who]->__state) == TASK_UNINTERRUPTIBLE && !READ_ONCE(task[who]->on_cpu);
}

static void pass_hidden(void)
{
	while (head < n_plan && !busy && plan[head].kind == HIDDEN && plan[head].seen)
		head++;
	moved = jiffies;
}

/* The actor has come somewhere: its step is done, and every hidden step before its next one was taken. */
static void arrive(int who, int label)
{
	int i, open = 0;

	if (busy && owner == who && (plan[head].kind == STEP || plan[head].kind == TAKES)) {
		busy = false;
		head++;
	}
	for (i = head; i < n_plan; i++) {
		if (plan[i].kind != HIDDEN) {
			if (plan[i].who == who && !(i == head && busy))
				break;
			open += plan[i].kind != ENTER && !(i == head && busy);
			continue;
		}
		if (plan[i].who != who || plan[i].seen)
			continue;
		if (open)
			disagree("early: who %d is past the hidden step %d, entry %d, at entry %d", who, plan[i].label, i, head);
		plan[i].seen = true;
	}
	if (busy && owner == who && plan[head].kind == ENTER)
		disagree("early: who %d did not block at entry %d", who, head);
	where[who] = label;
	entered[who] = false;
	pass_hidden();
}

/* Before a step: who blocks must block until the kernel may let it through, which is in an entry before. */
static void still_blocked(bool sleeps)
{
	int who, tries;

	for (who = 0; who < MAX_WHO; who++) {
		if (!entered[who])
			continue;
		if (sleeps)
			usleep_range(200, 400);
		for (tries = 0; tries < 100 && entered[who] && !over && !blocked(who); tries++)
			if (sleeps)
				usleep_range(200, 400);
			else
				udelay(200);
		if (tries == 100)
			disagree("early: who %d does not block any more at entry %d", who, head);
	}
}

static bool mine(int who)
{
	return over || (!busy && head < n_plan && plan[head].kind != HIDDEN && plan[head].kind != TAKES && plan[head].who == who);
}

static void move_to(struct ctx *x, int cpu)
{
	if (!x->moves)
		return;
	if (set_cpus_allowed_ptr(current, cpumask_of(cpu)))
		disagree("no task runs on CPU %d at entry %d", cpu, head);
}

/* It cannot sleep where it is, nor go to another CPU. */
static bool stays(struct ctx *x)
{
	return x->atomic || x->pinned || x->queued || x->alone;
}

/* While stop_machine() holds the CPUs: who let it begin comes to the end of its step later. gate_lock is held. */
static void alone(void)
{
	if (busy && (plan[head].kind == STEP || plan[head].kind == TAKES)) {
		busy = false;
		head++;
		pass_hidden();
	}
}

/* Wait for the head of the schedule; nonzero when the run is over. */
static int gate(struct ctx *x, int label)
{
	unsigned long flags;
	bool looked = x->alone;

	raw_spin_lock_irqsave(&gate_lock, flags);
	if (x->alone && owner != x->who)
		alone();
	arrive(x->who, label);
	if (x->alone && !mine(x->who))
		disagree("who %d is in stop_machine(), and entry %d is another's", x->who, head);
	raw_spin_unlock_irqrestore(&gate_lock, flags);
	wake_up_all(&gate_queue);
	if (!stays(x))
		move_to(x, WAITING);
	for (;;) {
		raw_spin_lock_irqsave(&gate_lock, flags);
		if (over) {
			raw_spin_unlock_irqrestore(&gate_lock, flags);
			return -1;
		}
		if (mine(x->who) && !looked) {
			looked = true;
			raw_spin_unlock_irqrestore(&gate_lock, flags);
			still_blocked(!stays(x));
			continue;
		}
		if (mine(x->who)) {
			x->now = plan[head];
			x->choice = 0;
			if (x->now.label != label || (x->cpu >= 0 && x->now.cpu != x->cpu))
				disagree("who %d is at %d on CPU %d; entry %d has %d on CPU %d", x->who, label, x->cpu, head,
					 x->now.label, x->now.cpu);
			busy = true;
			owner = x->who;
			where[x->who] = INSIDE;
			NOTE("%d:%d@%d ", x->who, label, x->now.cpu);
			raw_spin_unlock_irqrestore(&gate_lock, flags);
			break;
		}
		raw_spin_unlock_irqrestore(&gate_lock, flags);
		if (stays(x))
			cpu_relax();
		else
			wait_event_interruptible_timeout(gate_queue, mine(x->who), HZ / 50);
	}
	if (x->moves && x->now.cpu >= 0 && !stays(x))
		move_to(x, x->now.cpu);
	return over ? -1 : 0;
}

static bool due(int who)
{
	return over || (!busy && head < n_plan && plan[head].kind == TAKES && plan[head].who == who);
}

/* Behind a function of the kernel that may block. Who was let in early waits here for its step; nonzero when the run is over. */
static int __maybe_unused through(struct ctx *x)
{
	unsigned long flags;
	int i;

	if (x->now.kind != ENTER)
		return 0;
	raw_spin_lock_irqsave(&gate_lock, flags);
	entered[x->who] = false;
	for (i = head; i < n_plan && !(plan[i].kind == TAKES && plan[i].who == x->who); i++)
		;
	if (over)
		;
	else if (busy && owner == x->who)
		disagree("early: who %d did not block at entry %d", x->who, head);
	else if (i == n_plan)
		disagree("early: who %d is let through at entry %d, and should stay", x->who, head);
	else if (head < plan[i].after || (head == plan[i].after && !busy && plan[head].kind != HIDDEN))
		disagree("early: who %d is let through at entry %d, and not by entry %d", x->who, head, plan[i].after);
	raw_spin_unlock_irqrestore(&gate_lock, flags);
	for (;;) {
		raw_spin_lock_irqsave(&gate_lock, flags);
		if (x->alone && owner != x->who)
			alone();
		if (due(x->who))
			break;
		raw_spin_unlock_irqrestore(&gate_lock, flags);
		if (stays(x))
			cpu_relax();
		else
			wait_event_interruptible_timeout(gate_queue, due(x->who), HZ / 50);
	}
	if (!over) {
		x->now = plan[head];
		busy = true;
		owner = x->who;
		moved = jiffies;
		where[x->who] = INSIDE;
		NOTE("+%d@%d ", x->who, x->now.label);
	}
	raw_spin_unlock_irqrestore(&gate_lock, flags);
	return over ? -1 : 0;
}

static void finish(struct ctx *x, int label)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&gate_lock, flags);
	arrive(x->who, label);
	raw_spin_unlock_irqrestore(&gate_lock, flags);
	wake_up_all(&gate_queue);
}

/* Stand where the IPIs are sent from; false if there are none. */
static bool sends(struct ctx *x, struct cpumask *mask, int sender)
{
	x->left = cpumask_weight(mask);
	if (!x->left || over)
		return false;
	move_to(x, SENDER(sender));
	cpumask_set_cpu(SENDER(sender), mask);
	return true;
}

/* A CPU is through the handler. The step of the last one goes on in the sender, which waits for all. */
static void handled(struct ctx *sender, struct ctx *x)
{
	unsigned long flags;

	if (x->cpu >= N_CPUS)
		return finish(sender, INSIDE);
	raw_spin_lock_irqsave(&gate_lock, flags);
	if (--sender->left) {
		arrive(x->who, NOWHERE);
	} else {
		owner = sender->who;
		where[x->who] = NOWHERE;
		where[owner] = INSIDE;
	}
	raw_spin_unlock_irqrestore(&gate_lock, flags);
	wake_up_all(&gate_queue);
}

/* A lock that was entered early is taken now. */
static void acquired(struct ctx *x)
{
	if (x->now.kind == ENTER)
		finish(x, INSIDE);
}

static int choice(struct ctx *x)
{
	return x->choice < x->now.n_choices ? x->now.choices[x->choice++] : 0;
}

static void holds(struct ctx *x, void (*release)(struct ctx *x, void *lock, int index), void *lock, int index)
{
	x->locks[x->held++] = (struct held){ .release = release, .lock = lock, .index = index };
}

static void let_mutex(struct ctx *x, void *lock, int index) { mutex_unlock(lock); }
static void let_cpus(struct ctx *x, void *lock, int index) { cpus_read_unlock(); }

/* A mutex, or without one cpus_read_lock(). */
static void took(struct ctx *x, struct mutex *lock)
{
	holds(x, lock ? let_mutex : let_cpus, lock, 0);
	acquired(x);
}

static void drop(struct ctx *x)
{
	struct held *last = &x->locks[--x->held];

	last->release(x, last->lock, last->index);
}

#ifdef PRIMITIVES
static void prepare_all(void); /* as the module is loaded */
static void reset_all(void); /* before a run */
static void abandon(struct ctx *x); /* an actor leaves: what it waits on */
static void release_all(void); /* the run is over: whoever waits goes on */
static void settle_all(void); /* and all actors have left */
static void destroy_all(void); /* as the module is unloaded */
#else
static void prepare_all(void) {}
static void reset_all(void) {}
static void abandon(struct ctx *x) {}
static void release_all(void) {}
static void settle_all(void) {}
static void destroy_all(void) {}
#endif

static void drop_all(struct ctx *x)
{
	abandon(x);
	while (x->held)
		drop(x);
}

/* The next step of an actor, by which a callback of the kernel finds out which recorded copy of it runs. */
static int next_label(int who)
{
	unsigned long flags;
	int i, label = NOWHERE;

	raw_spin_lock_irqsave(&gate_lock, flags);
	for (i = head; i < n_plan && label == NOWHERE; i++)
		if (plan[i].who == who && (plan[i].kind == STEP || plan[i].kind == FATAL) && !(i == head && busy))
			label = plan[i].label;
	raw_spin_unlock_irqrestore(&gate_lock, flags);
	return label;
}

/* _cpu_up() or _cpu_down(): the guest's process writes to cpuN/online, and this waits for it. */
static int hotplug(struct ctx *x, int cpu, int up)
{
	hot.cpu = cpu;
	hot.up = up;
	hot.who = x->who;
	hot.done = hot.queued = hot.over = false;
	hot.asked = true;
	wake_up_all(&gate_queue);
	while (!hot.done && !over)
		wait_event_interruptible_timeout(gate_queue, hot.done || over, HZ / 50);
	return hot.done ? hot.result : -ECANCELED;
}

/* The writer of cpu_hotplug_lock is queued or has it: the step in which the operation began is over. gate_lock is held. */
static void writer_queued(void)
{
	if (hot.queued)
		return;
	hot.queued = true;
	if (busy && owner == hot.who && plan[head].kind == STEP) {
		busy = false;
		head++;
		pass_hidden();
	}
}

static int writers_label(int actor, bool first);

/* The writer of cpu_hotplug_lock has it, or is about to make the CPU active. On a way back there is no such step, and no gate. */
static int writer_at(unsigned int cpu, bool first)
{
	struct ctx y = { .who = hot.who, .cpu = cpu };
	int label, next;

	if (over || hot.who < 0 || cpu != hot.cpu || !hot.up)
		return 0;
	hot.queued = true;
	label = writers_label(hot.who / 16, first);
	next = next_label(hot.who);
	if (label >= 0 && (next == label || next == NOWHERE))
		gate(&y, label);
	return 0;
}

static int prepare_up(unsigned int cpu) { return writer_at(cpu, true); }
static int top_up(unsigned int cpu) { return writer_at(cpu, false); }

/* A CPU that goes is not active any more, which is in the step that takes the lock: no gate, but who enters is seen to block. */
static int top_down(unsigned int cpu)
{
	unsigned long flags;

	if (!over && cpu == hot.cpu && !hot.up) {
		raw_spin_lock_irqsave(&gate_lock, flags);
		writer_queued();
		raw_spin_unlock_irqrestore(&gate_lock, flags);
		wake_up_all(&gate_queue);
		while (!over && (busy || (head < n_plan && plan[head].kind == ENTER)))
			wait_event_interruptible_timeout(gate_queue, over, HZ / 500 + 1);
	}
	return 0;
}

static ssize_t hot_read(struct file *file, char __user *to, size_t size, loff_t *at)
{
	static char line[32]; /* a shell reads it byte by byte */
	static int n;

	if (!*at) {
		if (wait_event_interruptible(gate_queue, hot.asked))
			return -EINTR;
		hot.asked = false;
		task[hot.who] = current;
		n = scnprintf(line, sizeof(line), "%d %d\n", hot.cpu, hot.up);
	}
	return simple_read_from_buffer(to, size, at, line, n);
}

static ssize_t hot_write(struct file *file, const char __user *from, size_t size, loff_t *at)
{
	if (kstrtoint_from_user(from, size, 10, &hot.result))
		return -EINVAL;
	hot.done = true;
	wake_up_all(&gate_queue);
	return size;
}

static void init_state(void);
static void start(void);
static void show(struct seq_file *s);
static void clean(void);

static void parse(char *text)
{
	char *word;

	n_plan = 0;
	while ((word = strsep(&text, " \n"))) {
		struct entry e = { 0 };
		char kind, *choices;

		if (sscanf(word, "%c:%d:%d:%d:%d", &kind, &e.who, &e.cpu, &e.label, &e.after) < 4 || n_plan == MAX_STEPS)
			continue;
		e.kind = kind == 'S' ? STEP : kind == 'E' ? ENTER : kind == 'F' ? FATAL : kind == 'T' ? TAKES : HIDDEN;
		choices = strrchr(word, ':');
		for (choices = strchr(choices, ','); choices && e.n_choices < 8; choices = strchr(choices + 1, ','))
			e.choices[e.n_choices++] = choices[1] - '0';
		plan[n_plan++] = e;
	}
}

/* The kernel does not say so itself: a writer waits for readers. */
static bool writer_waits(void)
{
	return hotplug_lock && atomic_read(&hotplug_lock->block);
}

static void note_stack(int who, char mark)
{
	unsigned long frames[6];
	int i, n = spins_for[who] ? 0 : stack_of(task[who], frames, ARRAY_SIZE(frames), 0);

	NOTE("\n%c%d", mark, who);
	for (i = 0; i < n; i++)
		NOTE(" %ps", (void *)frames[i]);
	NOTE("\n");
}

static void watch(void)
{
	int still = 0;

	while (!over && head < n_plan) {
		unsigned long flags;

		usleep_range(500, 1000);
		raw_spin_lock_irqsave(&gate_lock, flags);
		if (busy && plan[head].kind == ENTER) {
			still = blocked(owner) ? still + 1 : 0;
			if (still > 8 + patience[owner]) {
				note_stack(owner, '#');
				entered[owner] = true;
				busy = false;
				head++;
				still = 0;
				pass_hidden();
			}
		} else if (busy && plan[head].kind == FATAL) {
			if (++still > 200) {
				busy = false;
				head++;
			}
		} else if (hot.cpu >= 0 && busy && owner == hot.who && writer_waits()) {
			writer_queued();
		}
		/* The write to `online` returns later. */
		if (hot.cpu >= 0 && hot.queued && !hot.over && !hot.done && !writer_waits()) {
			hot.over = true;
			arrive(hot.who, INSIDE);
		}
		if (time_after(jiffies, moved + LATE * HZ) && head < n_plan && !over) {
			if (busy)
				note_stack(owner, '%');
			disagree("late: entry %d of %d is %s (who %d, step %d, at %d)", head, n_plan,
				 plan[head].kind == HIDDEN ? "not taken by the kernel" : busy ? "not done" : "waited for",
				 plan[head].who, plan[head].label, where[plan[head].who]);
		}
		raw_spin_unlock_irqrestore(&gate_lock, flags);
		wake_up_all(&gate_queue);
	}
}

static char text[16384];

static ssize_t run_write(struct file *file, const char __user *from, size_t size, loff_t *at)
{
	int who, waited;

	if (size >= sizeof(text) || copy_from_user(text, from, size))
		return -EINVAL;
	text[size] = 0;
	parse(text);
	head = n_notes = 0;
	wrong[0] = notes[0] = 0;
	busy = over = false;
	hot.cpu = hot.who = -1;
	hot.asked = hot.queued = hot.over = false;
	for (who = 0; who < MAX_WHO; who++) {
		where[who] = NOWHERE;
		task[who] = NULL;
		spins_for[who] = NULL;
		patience[who] = 0;
		entered[who] = false;
	}
	memset(last_errno, 0, sizeof(last_errno));
	moved = jiffies;
	init_state();
	reset_all();
	start();
	watch();
	/* Who waits for ever must still wait; who comes to a gate after all is seen there. */
	for (waited = 0; waited < 100; waited++) {
		bool pending = false;

		for (who = 0; who < MAX_WHO; who++)
			pending |= where[who] == INSIDE;
		if (!pending && waited > 2)
			break;
		usleep_range(2000, 3000);
	}
	show(NULL);
	over = true;
	wake_up_all(&gate_queue);
	for (waited = 0; waited < 100 && atomic_read(&alive); waited++) {
		release_all();
		msleep(10);
	}
	if (!atomic_read(&alive)) {
		release_all();
		settle_all();
		clean();
	}
	return size;
}

static int result_show(struct seq_file *s, void *unused)
{
	seq_printf(s, "wrong %s\nhead %d %d\nhung %d\n%s\n", wrong[0] ? wrong : "-", head, n_plan, atomic_read(&alive), notes);
	return 0;
}

static int result_open(struct inode *inode, struct file *file)
{
	return single_open(file, result_show, NULL);
}

static const struct proc_ops hot_ops = { .proc_read = hot_read, .proc_write = hot_write };
static const struct proc_ops run_ops = { .proc_write = run_write };
static const struct proc_ops result_ops = {
	.proc_open = result_open, .proc_read = seq_read, .proc_lseek = seq_lseek, .proc_release = single_release
};

static int prepare;

static int __init litmus_init(void)
{
	struct proc_dir_entry *folder;
	int error;
	void (*enter)(struct rcu_sync *rss) = symbol("rcu_sync_enter"); /* the locks are not exported either */

	notes = kvmalloc(65536, GFP_KERNEL);
	hotplug_lock = symbol("cpu_hotplug_lock");
	memory_lock = symbol("mem_hotplug_lock");
	stack_of = symbol("stack_trace_save_tsk");
	/*
	 * A writer otherwise waits for a grace period before it shuts readers out, which a CPU that spins at a gate holds up.
	 * cpu_up() is a writer of mem_hotplug_lock in try_online_node(), before it queues for cpu_hotplug_lock.
	 */
	if (!notes || !hotplug_lock || !memory_lock || !enter || !stack_of)
		return -ENOENT;
	enter(&hotplug_lock->rss);
	enter(&memory_lock->rss);
	prepare = cpuhp_setup_state_nocalls(CPUHP_BP_PREPARE_DYN, "litmus:lock", prepare_up, NULL);
	error = cpuhp_setup_state_nocalls(CPUHP_AP_X86_KVM_CLK_ONLINE, "litmus:top", top_up, top_down);
	if (prepare < 0 || error)
		return -EBUSY;
	prepare_all();
	folder = proc_mkdir("litmus", NULL);
	proc_create("hotplug", 0600, folder, &hot_ops);
	proc_create("run", 0200, folder, &run_ops);
	proc_create("result", 0400, folder, &result_ops);
	return 0;
}

static void __exit litmus_exit(void)
{
	void (*leave)(struct rcu_sync *rss) = symbol("rcu_sync_exit");

	remove_proc_subtree("litmus", NULL);
	destroy_all();
	cpuhp_remove_state_nocalls(CPUHP_AP_X86_KVM_CLK_ONLINE);
	cpuhp_remove_state_nocalls(prepare);
	if (leave) {
		leave(&hotplug_lock->rss);
		leave(&memory_lock->rss);
	}
	kvfree(notes);
}

module_init(litmus_init);
module_exit(litmus_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A policy of tdxexplore under a schedule; VMX and the TDX module are a mock");
