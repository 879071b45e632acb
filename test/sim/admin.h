#pragma once

#include <deque>
#include <memory>
#include <string>

#include "sim/client.h"

namespace landfall::sim {

struct ExchangeSlot {
  std::string name;
  std::string type;
  bool durable = true;
  bool wanted = true;
  bool fixed = false;  // never touched again
  ExchangeLife* life = nullptr;
};
struct QueueSlot {
  QueueSpec spec;
  bool wanted = true;
  bool fixed = false;
  bool purge = false;
  QueueLife* life = nullptr;
};
struct BindingSlot {
  ExchangeSlot* from = nullptr;
  QueueSlot* queue = nullptr;  // one of the two
  ExchangeSlot* exchange = nullptr;
  std::string key;
  bool wanted = true;
  bool fixed = false;
  BindingLife* life = nullptr;
};

// Exchanges, queues and bindings as they are wanted; addresses stay.
struct Layout {
  std::deque<ExchangeSlot> exchanges;
  std::deque<QueueSlot> queues;
  std::deque<BindingSlot> bindings;
};

// Makes the topology what is wanted, one request at a time, and wants something else every now and
// then. A request whose answer was lost is made again.
class Admin final : public Client {
 public:
  Admin(Surroundings& around, Layout& layout, Duration pause);

  bool done() const { return !busy_ && Settled(); }

 private:
  void OnOpen() override;
  void OnMethod(uint16_t channel, amqp::MethodId id, ByteView payload, Time made) override;
  void OnContent(uint16_t, const Content&, Time) override {}
  void OnLost() override;

  bool Settled() const;
  void Next();
  bool FixExchange(ExchangeSlot& slot);
  bool FixQueue(QueueSlot& slot);
  bool FixBinding(BindingSlot& slot);
  void ChangeMind();
  void Bind(BindingSlot& slot, bool unbind);
  template <class M>
  bool Ask(const M& method, std::function<void()> done);

  Layout& layout_;
  const Duration pause_;
  bool busy_ = false;
  std::function<void()> done_;
};

}  // namespace landfall::sim
