// What queues and exchanges there are, or may be, and where a message must or may go.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <string_view>
#include <vector>

#include "sim/model.h"

namespace landfall::sim {
namespace {

bool WordsMatch(std::vector<std::string_view>::const_iterator pattern,
                std::vector<std::string_view>::const_iterator pattern_end,
                std::vector<std::string_view>::const_iterator key,
                std::vector<std::string_view>::const_iterator key_end) {
  if (pattern == pattern_end) return key == key_end;
  if (*pattern == "#") {
    for (auto rest = key;; ++rest) {
      if (WordsMatch(pattern + 1, pattern_end, rest, key_end)) return true;
      if (rest == key_end) return false;
    }
  }
  if (key == key_end || (*pattern != "*" && *pattern != *key)) return false;
  return WordsMatch(pattern + 1, pattern_end, key + 1, key_end);
}

std::vector<std::string_view> Words(std::string_view s) {
  std::vector<std::string_view> words;
  while (true) {
    const size_t dot = s.find('.');
    words.push_back(s.substr(0, dot));
    if (dot == std::string_view::npos) return words;
    s.remove_prefix(dot + 1);
  }
}

}  // namespace

bool TopicMatches(std::string_view pattern, std::string_view key) {
  const auto p = Words(pattern);
  const auto k = Words(key);
  return WordsMatch(p.begin(), p.end(), k.begin(), k.end());
}

amqp::Table QueueSpec::Arguments() const {
  const auto ms = [](Duration d) {
    return amqp::Value(
        static_cast<int64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(d).count()));
  };
  amqp::Table t;
  if (lease) t.Set("x-consumer-timeout", ms(*lease));
  if (retries) {
    t.Set("x-delayed-retry-min", ms(retry_min));
    t.Set("x-delayed-retry-max", ms(retry_max));
    t.Set("x-delayed-retry-multiplier", amqp::Value(multiplier));
    t.Set("x-delayed-retry-jitter", amqp::Value(jitter));
  }
  if (limit) t.Set("x-delivery-limit", amqp::Value(static_cast<int64_t>(*limit)));
  if (ttl) t.Set("x-message-ttl", ms(*ttl));
  if (max_length) t.Set("x-max-length", amqp::Value(static_cast<int64_t>(*max_length)));
  if (priorities) t.Set("x-max-priority", amqp::Value(int64_t{3}));
  if (single_active) t.Set("x-single-active-consumer", amqp::Value(true));
  if (dlx) t.Set("x-dead-letter-exchange", *dlx);
  if (dlx_key) t.Set("x-dead-letter-routing-key", *dlx_key);
  return t;
}

Duration QueueSpec::LeastDelay(uint32_t failures) const {
  if (!retries || failures == 0) return Duration{0};
  const double delay =
      std::min(static_cast<double>(retry_min.count()) * std::pow(multiplier, failures - 1),
               static_cast<double>(retry_max.count()));
  return Duration(static_cast<int64_t>(delay * (1 - jitter)) - 1);
}

QueueLife* Model::NewQueue(const QueueSpec& spec) {
  auto& life = *queues_.emplace_back(std::make_unique<QueueLife>());
  life.spec = &spec;
  life.existence.born = world_.Mark();
  return &life;
}

ExchangeLife* Model::NewExchange(const std::string& name, const std::string& type, bool durable) {
  auto& life = *exchanges_.emplace_back(std::make_unique<ExchangeLife>());
  life.name = name;
  life.type = type;
  life.durable = durable;
  life.existence.born = world_.Mark();
  return &life;
}

BindingLife* Model::NewBinding(ExchangeLife* from, QueueLife* queue, ExchangeLife* exchange,
                               const std::string& key) {
  auto& life = *bindings_.emplace_back(std::make_unique<BindingLife>());
  life.from = from;
  life.queue = queue;
  life.exchange = exchange;
  life.key = key;
  life.existence.born = world_.Mark();
  return &life;
}

void Model::QueueMayGo(QueueLife& queue) {
  queue.existence.BecomeUncertain();
  for (auto& b : bindings_)
    if (b->queue == &queue) b->existence.BecomeUncertain();
}

void Model::QueueGone(QueueLife& queue) {
  const uint64_t mark = world_.Mark();
  queue.existence.End(mark);
  for (auto& b : bindings_)
    if (b->queue == &queue) b->existence.End(mark);
}

void Model::ExchangeMayGo(ExchangeLife& exchange) {
  exchange.existence.BecomeUncertain();
  for (auto& b : bindings_)
    if (b->from == &exchange || b->exchange == &exchange) b->existence.BecomeUncertain();
}

void Model::ExchangeGone(ExchangeLife& exchange) {
  const uint64_t mark = world_.Mark();
  exchange.existence.End(mark);
  for (auto& b : bindings_)
    if (b->from == &exchange || b->exchange == &exchange) b->existence.End(mark);
}

void Model::Purged(QueueLife& queue) {
  queue.leaking = false;
  queue.leaky_upto = world_.Mark();
}

QueueLife* Model::CurrentQueue(const std::string& name) {
  for (auto it = queues_.rbegin(); it != queues_.rend(); ++it) {
    if ((*it)->spec->name == name) {
      return (*it)->existence.presence == Presence::kAbsent ? nullptr : it->get();
    }
  }
  return nullptr;
}

std::vector<QueueLife*> Model::LivesOf(const std::string& name, uint64_t since) const {
  std::vector<QueueLife*> lives;
  for (const auto& q : queues_)
    if (q->spec->name == name && q->existence.gone >= since) lives.push_back(q.get());
  return lives;
}

// kMust: over what has certainly been there since before `since`. kMay: over what may have been
// there at any time between `since` and `until`.
void Model::Route(const std::string& exchange, const std::string& key, Certainty certainty,
                  uint64_t since, uint64_t until, std::set<QueueLife*>& to) const {
  const auto passes = [&](const Existence& e) {
    if (certainty == Certainty::kMust) return e.there() && e.stable_since < since;
    return e.born <= until && e.gone >= since;
  };
  if (exchange.empty()) {
    for (const auto& q : queues_)
      if (q->spec->name == key && passes(q->existence)) to.insert(q.get());
    return;
  }
  std::set<const ExchangeLife*> seen;
  std::vector<const ExchangeLife*> open;
  const auto visit = [&](const ExchangeLife* x) {
    if (passes(x->existence) && seen.insert(x).second) open.push_back(x);
  };
  for (const auto& x : exchanges_)
    if (x->name == exchange) visit(x.get());
  while (!open.empty()) {
    const ExchangeLife* x = open.back();
    open.pop_back();
    for (const auto& b : bindings_) {
      if (b->from != x || !passes(b->existence)) continue;
      if (x->type == "direct" && b->key != key) continue;
      if (x->type == "topic" && !TopicMatches(b->key, key)) continue;
      if (b->queue != nullptr && passes(b->queue->existence)) to.insert(b->queue);
      if (b->exchange != nullptr) visit(b->exchange);
    }
  }
}

std::set<QueueLife*> Model::MayHave(const Message& m) const {
  std::set<QueueLife*> queues;
  // A copy that was sent on a connection that is gone may be taken after a later one was confirmed.
  const uint64_t until = m.sends > 1 ? kForever : m.settled;
  Route(m.exchange, m.key, Certainty::kMay, m.first_sent, until, queues);
  return queues;
}

bool Model::Leaked(const Message& m, const QueueLife& queue) const {
  return queue.leaking || m.first_sent < queue.leaky_upto || queue.spec->consumed_without_ack;
}

std::vector<QueueLife*> Model::DeadLetterQueues(const QueueSpec& spec,
                                                const std::string& key) const {
  if (!spec.dlx) return {};
  std::set<QueueLife*> queues;
  Route(*spec.dlx, spec.dlx_key.value_or(key), Certainty::kMust, kForever, 0, queues);
  return {queues.begin(), queues.end()};
}

}  // namespace landfall::sim
