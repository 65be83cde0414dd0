/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Keeps every type of events.h in the object's BTF, where probes/schema.py reads them:
 * the compiler drops a type that only constants or casts mention.
 */
#include "maps.bpf.h"

struct schema {
	enum limit limit;
	enum event_kind event_kind;
	enum event_flag event_flag;
	enum environment_flag environment_flag;
	enum peer_direction peer_direction;
	enum loss_reason loss_reason;
	enum counter counter;
	enum containment_level containment_level;
	enum task_role task_role;
	enum socket_origin socket_origin;
	enum file_class file_class;
	enum file_direction file_direction;
	enum peer_class peer_class;
	enum peer_flow peer_flow;
	enum change_operation change_operation;
	enum xattr_class xattr_class;
	enum privilege_cause privilege_cause;
	enum namespace_kind namespace_kind;
	enum shared_operation shared_operation;
	enum stack_part stack_part;
	enum http_method http_method;
	enum answer_class answer_class;
	enum route_hash route_hash;
	enum mode_flag mode_flag;
	enum gpu_act gpu_act;
	enum protection protection;
	enum publisher publisher;
	enum secrecy secrecy;
	enum reflex_act reflex_act;
	enum reflex_grant reflex_grant;
	enum reflex_outcome reflex_outcome;
	enum pace pace;
	struct exec_event exec_event;
	struct args_event args_event;
	struct head_event head_event;
	struct exit_event exit_event;
	struct file_event file_event;
	struct mapping_event mapping_event;
	struct peer_event peer_event;
	struct caller_event caller_event;
	struct name_event name_event;
	struct syscall_event syscall_event;
	struct change_event change_event;
	struct stranger_event stranger_event;
	struct title_event title_event;
	struct privilege_event privilege_event;
	struct shared_event shared_event;
	struct stack_event stack_event;
	struct signal_event signal_event;
	struct request_event request_event;
	struct gpu_event gpu_event;
	struct reflex_event reflex_event;
	struct gpu_block gpu_block;
	struct gpu_block_size gpu_block_size;
	struct workload_mode workload_mode;
	struct task_state task_state;
	struct member member;
	struct gram_bucket gram_bucket;
	struct seen_key seen_key;
	struct crowd_key crowd_key;
	struct crowd crowd;
	struct containment containment;
	struct reflex reflex;
	struct reflex_count reflex_count;
	struct reflex_key reflex_key;
	struct reflex_stop reflex_stop;
	struct socket_state socket_state;
	struct upload_key upload_key;
	struct route_key route_key;
	struct route_counts route_counts;
	struct sketch sketch;
	struct client_key client_key;
	struct client_counts client_counts;
	struct stream stream;
	struct file_key file_key;
	struct refusal refusal;
	struct file_suffix file_suffix;
	struct file_holders file_holders;
	struct meta meta;
};

const volatile struct schema schema_anchor = {};
