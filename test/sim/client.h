#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "amqp/frame.h"
#include "amqp/method.h"
#include "amqp/properties.h"
#include "sim/model.h"
#include "sim/node.h"
#include "sim/world.h"

namespace landfall::sim {

// What clients share.
struct Surroundings {
  World& world;
  Model& model;
  Statistics& statistics;
  // Connects to the broker; null when it is down.
  std::function<std::shared_ptr<Link>(Peer&, bool lingers)> connect;
  // False: the storm is over. Publishers finish, nobody does anything strange any more.
  bool stormy = true;
};

// A client's half of AMQP, as small as it can be: connects, again and again, gets as far as
// connection.open-ok, and cuts what comes into methods and contents.
class Client : public Peer {
 public:
  Client(Surroundings& around, std::string name);
  ~Client() override;

  // Connects after a while, and after each loss again.
  void Start();
  // Disconnects for good: politely, or by pulling the plug.
  void Leave(bool politely);
  bool left() const { return leaving_ && link_ == nullptr; }
  const std::string& name() const { return name_; }

 protected:
  struct Content {
    ByteBuffer method;
    ByteBuffer properties;
    uint64_t size = 0;
    ByteBuffer body;
  };

  virtual void OnOpen() = 0;
  virtual void OnMethod(uint16_t channel, amqp::MethodId id, ByteView payload, Time made) = 0;
  virtual void OnContent(uint16_t channel, const Content& content, Time made) = 0;
  // Everything of the connection is gone.
  virtual void OnLost() = 0;
  // Before a politely asked close.
  virtual void OnLeaving() {}

  template <class M>
  void Send(uint16_t channel, const M& method) {
    ByteBuffer frame;
    amqp::AppendMethodFrame(frame, channel, method);
    around_.world.Trace([&] { return name_ + " > " + std::string(M::kName); });
    Write(frame);
  }
  void Write(ByteView bytes);
  // Pulls the plug; connects again later unless leaving.
  void CutLink();
  void ClosePolitely();
  void StopReading(bool stop);
  // As World::After, as long as this connection lasts.
  void AfterOnLink(Duration delay, std::function<void()> event);
  // As long as the client lasts.
  void After(Duration delay, std::function<void()> event);
  bool open() const { return open_ && !closing_; }
  Rng& rng() { return around_.world.rng(); }
  Model& model() { return around_.model; }
  // A close by the broker that nothing in the history can explain.
  void CheckClose(uint16_t code, ByteView text);
  uint32_t frame_max() const { return frame_max_; }

  Surroundings& around_;
  bool extended_ = false;  // speaks landfall.* methods
  bool lingers_ = true;
  Duration reconnect_delay_ = std::chrono::milliseconds(50);

 private:
  void Connect();
  void Lost();
  void OnBytes(ByteView bytes, Time made) override;
  void OnClosed() override { Lost(); }
  void OnFrame(const amqp::Frame& frame, Time made);
  void OnConnectionMethod(amqp::MethodId id, ByteView payload);
  void Heartbeat();

  const std::string name_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
  std::shared_ptr<Link> link_;
  uint64_t connection_ = 0;  // grows with every one
  bool open_ = false;
  bool closing_ = false;
  bool leaving_ = false;
  uint32_t frame_max_ = 4096;
  uint16_t heartbeat_ = 0;
  ByteBuffer input_;
  std::map<uint16_t, Content> contents_;
};

}  // namespace landfall::sim
