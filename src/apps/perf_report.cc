#include "apps/perf_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace landfall::apps {
namespace {

using Json = nlohmann::ordered_json;

double PerSecond(uint64_t count, double seconds) {
  return seconds <= 0 ? 0 : static_cast<double>(count) / seconds;
}

double Microseconds(uint64_t ns) { return static_cast<double>(ns) / 1000; }

// 12,345,678
std::string Grouped(double value) {
  std::string digits = fmt::format("{:.0f}", value);
  for (size_t i = digits.size(); i > 3;) {
    i -= 3;
    digits.insert(i, ",");
  }
  return digits;
}
std::string Grouped(uint64_t value) { return Grouped(static_cast<double>(value)); }

// Three digits and a unit.
std::string Time(uint64_t ns) {
  const auto value = static_cast<double>(ns);
  const auto with = [](double v, const char* unit) {
    return fmt::format("{:.{}f} {}", v, v < 10 ? 2 : v < 100 ? 1 : 0, unit);
  };
  if (value < 1e6) return with(value / 1e3, "us");
  if (value < 1e9) return with(value / 1e6, "ms");
  return with(value / 1e9, "s");
}

std::string Plural(uint64_t n, std::string_view one) {
  return fmt::format("{} {}{}", Grouped(n), one, n == 1 ? "" : "s");
}

// The tool's own cost: for each message that it published or received.
double CpuNanosecondsPerMessage(const PerfResult& r) {
  const uint64_t messages = std::max(r.counts.published, r.counts.delivered);
  if (messages == 0) return 0;
  return (r.user_cpu_seconds + r.system_cpu_seconds) * 1e9 / static_cast<double>(messages);
}

Json LatencyJson(const PerfPercentiles& p) {
  if (p.count == 0) return nullptr;
  return {{"count", p.count},
          {"min", Microseconds(p.min)},
          {"mean", Microseconds(p.mean)},
          {"p50", Microseconds(p.p50)},
          {"p95", Microseconds(p.p95)},
          {"p99", Microseconds(p.p99)},
          {"p99.9", Microseconds(p.p999)},
          {"max", Microseconds(p.max)}};
}

Json SettingsJson(const PerfPlan& plan) {
  const PerfOptions& o = plan.options;
  return {{"broker", plan.broker.Address()},
          {"vhost", plan.broker.vhost},
          {"producers", o.producers},
          {"consumers", o.consumers},
          {"queues", o.queues},
          {"queue", plan.queues.front()},
          {"exchange", o.exchange},
          {"routing_key", o.routing_key},
          {"routing_keys", o.routing_keys},
          {"queue_args", o.queue_args},
          {"size", o.size},
          {"window", o.window},
          {"rate", o.rate},
          {"seconds", o.seconds},
          {"messages", o.messages},
          {"drain", o.drain},
          {"prefetch", o.prefetch},
          {"ack_every", o.ack_every},
          {"auto_ack", o.auto_ack},
          {"persistent", !o.transient},
          {"mandatory", o.mandatory},
          {"threads", o.threads},
          {"idle_connections", o.idle_connections}};
}

Json IntervalsJson(const std::vector<PerfInterval>& intervals) {
  Json all = Json::array();
  for (const PerfInterval& i : intervals) {
    all.push_back({{"at", i.at},
                   {"published_per_second", PerSecond(i.counts.published, i.seconds)},
                   {"confirmed_per_second", PerSecond(i.counts.confirmed, i.seconds)},
                   {"delivered_per_second", PerSecond(i.counts.delivered, i.seconds)},
                   {"confirm_p50_us", Microseconds(i.confirm.p50)},
                   {"confirm_p99_us", Microseconds(i.confirm.p99)},
                   {"end_to_end_p50_us", Microseconds(i.end_to_end.p50)},
                   {"end_to_end_p99_us", Microseconds(i.end_to_end.p99)}});
  }
  return all;
}

std::string LatencyLine(std::string_view name, const PerfHistogram& h) {
  if (h.count() == 0) return {};
  const PerfPercentiles p = PerfPercentiles::Of(h);
  return fmt::format("{:<12} p50 {}, p95 {}, p99 {}, p99.9 {}, max {}, mean {}\n", name,
                     Time(p.p50), Time(p.p95), Time(p.p99), Time(p.p999), Time(p.max),
                     Time(p.mean));
}

std::string Distribution(const PerfResult& r) {
  std::string out = fmt::format("\n{:>12} {:>12} {:>12}\n", "percentile", "confirm", "end to end");
  for (const double percent :
       {0.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 98.0, 99.0, 99.5, 99.9, 99.99, 99.999, 100.0}) {
    const auto cell = [&](const PerfHistogram& h) {
      return h.count() == 0 ? std::string("-") : Time(h.Percentile(percent));
    };
    out += fmt::format("{:>12} {:>12} {:>12}\n", percent, cell(r.confirm), cell(r.end_to_end));
  }
  return out;
}

}  // namespace

PerfPercentiles PerfPercentiles::Of(const PerfHistogram& h) {
  return {.count = h.count(),
          .min = h.min(),
          .mean = static_cast<uint64_t>(h.mean()),
          .p50 = h.Percentile(50),
          .p95 = h.Percentile(95),
          .p99 = h.Percentile(99),
          .p999 = h.Percentile(99.9),
          .max = h.max()};
}

std::string DescribePerfPlan(const PerfPlan& plan, const std::string& product) {
  const PerfOptions& o = plan.options;
  std::string text = fmt::format("{} at {}: {}, {}, {}", product, plan.broker.Address(),
                                 Plural(o.producers, "producer"), Plural(o.consumers, "consumer"),
                                 Plural(o.queues, "queue"));
  if (o.producers != 0) {
    text +=
        fmt::format(", {} bytes, {}", Grouped(o.size), o.transient ? "transient" : "persistent");
    text +=
        o.window == 0 ? ", no confirms" : fmt::format(", window {}", Grouped(uint64_t{o.window}));
    if (!o.exchange.empty()) {
      text += fmt::format(", through exchange '{}' with {}", o.exchange,
                          Plural(o.routing_keys, "routing key"));
    }
    if (o.rate > 0) text += fmt::format(", {}/s each", Grouped(o.rate));
  }
  if (o.auto_ack) text += ", auto-ack";
  return text;
}

std::string FormatPerfHeader() {
  return fmt::format("{:>6} {:>12} {:>12} {:>12}  {:^21}  {:^21}\n{:>6} {:>12} {:>12} {:>12}",
                     "time", "published", "confirmed", "delivered", "confirm", "end to end", "s",
                     "/s", "/s", "/s") +
         fmt::format("  {:>10} {:>10}  {:>10} {:>10}", "p50", "p99", "p50", "p99");
}

std::string FormatPerfInterval(const PerfInterval& i) {
  const auto latency = [](const PerfPercentiles& p) {
    if (p.count == 0) return fmt::format("{:>10} {:>10}", "-", "-");
    return fmt::format("{:>10} {:>10}", Time(p.p50), Time(p.p99));
  };
  return fmt::format("{:>6.1f} {:>12} {:>12} {:>12}  {}  {}", i.at,
                     Grouped(PerSecond(i.counts.published, i.seconds)),
                     Grouped(PerSecond(i.counts.confirmed, i.seconds)),
                     Grouped(PerSecond(i.counts.delivered, i.seconds)), latency(i.confirm),
                     latency(i.end_to_end));
}

std::string FormatPerfSummary(const PerfPlan& plan, const PerfResult& r) {
  const PerfOptions& o = plan.options;
  const PerfCounts& c = r.counts;
  std::string out;
  if (o.producers != 0 && r.seconds > 0) {
    out += fmt::format("{:<12} {} messages, {}/s\n", "published", Grouped(c.published),
                       Grouped(PerSecond(c.published, r.publish_seconds)));
    if (o.window != 0) {
      out += fmt::format("{:<12} {} messages, {}/s\n", "confirmed", Grouped(c.confirmed),
                         Grouped(PerSecond(c.confirmed, r.confirm_seconds)));
    }
  }
  if (o.consumers != 0 && r.seconds > 0) {
    out += fmt::format("{:<12} {} messages, {}/s\n", "delivered", Grouped(c.delivered),
                       Grouped(PerSecond(c.delivered, r.delivery_seconds)));
  }
  out += LatencyLine("confirm", r.confirm);
  out += LatencyLine("end to end", r.end_to_end);
  if (r.lost) {
    out += fmt::format("{:<12} {} lost", "check", Grouped(*r.lost));
    if (r.duplicated) out += fmt::format(", {} duplicated", Grouped(*r.duplicated));
    out += fmt::format(", {} redelivered\n", Grouped(c.redelivered));
  }
  if (c.foreign != 0 && o.producers != 0) {
    out += fmt::format("{:<12} {} messages were in the queue from elsewhere\n", "",
                       Grouped(c.foreign));
  }
  if (c.published + c.delivered != 0)
    out += fmt::format("{:<12} {:.2f} s user, {:.2f} s system, {:.0f} ns a message\n", "own CPU",
                       r.user_cpu_seconds, r.system_cpu_seconds, CpuNanosecondsPerMessage(r));
  if (o.latency) out += Distribution(r);
  for (const std::string& error : r.errors) out += "error: " + error + "\n";
  return out;
}

std::string FormatPerfJson(const PerfPlan& plan, const PerfResult& r) {
  const PerfCounts& c = r.counts;
  Json json = {
      {"ok", r.errors.empty()},
      {"errors", r.errors},
      {"broker", r.product},
      {"settings", SettingsJson(plan)},
      {"seconds", r.seconds},
      {"published", c.published},
      {"published_per_second", PerSecond(c.published, r.publish_seconds)},
      {"confirmed", c.confirmed},
      {"confirmed_per_second", PerSecond(c.confirmed, r.confirm_seconds)},
      {"unconfirmed", r.unconfirmed},
      {"nacked", c.nacked},
      {"returned", c.returned},
      {"delivered", c.delivered},
      {"delivered_per_second", PerSecond(c.delivered, r.delivery_seconds)},
      {"acked", c.acked},
      {"redelivered", c.redelivered},
      {"foreign", c.foreign},
      {"lost", r.lost ? Json(*r.lost) : Json(nullptr)},
      {"duplicated", r.duplicated ? Json(*r.duplicated) : Json(nullptr)},
      {"confirm_latency_us", LatencyJson(PerfPercentiles::Of(r.confirm))},
      {"end_to_end_latency_us", LatencyJson(PerfPercentiles::Of(r.end_to_end))},
      {"cpu",
       {{"user_seconds", r.user_cpu_seconds},
        {"system_seconds", r.system_cpu_seconds},
        {"ns_per_message", CpuNanosecondsPerMessage(r)}}},
      {"intervals", IntervalsJson(r.intervals)},
  };
  return json.dump(2);
}

}  // namespace landfall::apps
