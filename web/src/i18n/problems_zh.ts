import type { Problem } from "../api/types";
import { bytes, count } from "../ui/format";

interface Words {
  summary: string;
  advice: string;
}

const n = (value: number | undefined) => count(value === undefined ? undefined : Math.round(value));

/** The broker says problems in English; here they are in Chinese, from its numbers. By their kind. */
export const problemsInChinese: Record<string, (problem: Problem) => Words> = {
  ledger: ({ name }) => ({ summary: `队列 ${name} 的账目不平。`, advice: "若启动时报告过损坏，则由此而来；否则是代理的缺陷：请保留数据目录并上报。" }),
  memory_alarm: ({ name, amount, limit }) => ({
    summary: name === undefined ? `代理占用内存 ${bytes(amount)}；超过 ${bytes(limit)} 时阻塞发布者。` : `队列 ${name} 的消息占用内存 ${bytes(amount)}。`,
    advice: "启动或增加消费者，清空无人需要的队列，或调高 memory_limit。",
  }),
  disk_alarm: ({ name, amount, limit }) => ({
    summary: name === undefined ? `磁盘剩余 ${bytes(amount)}；低于 ${bytes(limit)} 时阻塞发布者。` : `队列 ${name} 存有 ${n(amount)} 条消息。`,
    advice: "请在数据目录所在磁盘上腾出空间，但不要删除该目录中的文件。确认仍可进行，因此消费者也会释放空间。",
  }),
  blocked_publishers: ({ amount }) => ({ summary: `${n(amount)} 个发布连接因告警而被阻塞。`, advice: "告警解除后会自动继续。" }),
  sync_slow: ({ amount }) => ({ summary: `日志每百次落盘有一次耗时 ${n(amount / 1000)} 毫秒或更久。`, advice: "检查是否有其他程序占用磁盘，以及磁盘本身。发布确认要等待落盘。" }),
  no_consumer: ({ name, amount }) => ({ summary: `队列 ${name} 收到消息但没有消费者；${n(amount)} 条在等待。`, advice: "启动消费者；若无人需要该队列，请删除。" }),
  consumers_stuck: ({ name, amount }) => ({
    summary: `队列 ${name} 的消费者持有 ${n(amount)} 条消息，既不确认也不再取。`,
    advice: "查看消费者在等待什么。重启它们会归还消息；x-consumer-timeout 可自动做到。",
  }),
  queue_growing: ({ name, amount, per_second }) => ({ summary: `队列 ${name} 有 ${n(amount)} 条消息，每秒增加 ${n(per_second)} 条。`, advice: "增加消费者或加快消费；长度限制可约束队列。" }),
  unacked_growing: ({ name, amount, per_second }) => ({ summary: `队列 ${name} 有 ${n(amount)} 条消息未确认，每秒增加 ${n(per_second)} 条。`, advice: "确保消费者确认消息，并为其设置预取上限。" }),
  dead_letters: ({ name, amount }) => ({ summary: `队列 ${name} 的消息成为死信：最近一分钟约 ${n(amount)} 条。`, advice: "查看死信了解原因；原因消除后将其移回。" }),
  messages_dropped: ({ name, amount }) => ({ summary: `队列 ${name} 的消息因限制丢失，或被拒绝且无处可去：最近一分钟约 ${n(amount)} 条。`, advice: "为队列设置死信交换机，或放宽存活时间或长度限制。" }),
  paused: ({ name, amount }) => ({ summary: `队列 ${name} 已暂停；${n(amount)} 条消息在等待。`, advice: "当消费者可以继续时恢复它。" }),
};
