#include "client/loopback_broker.h"

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <functional>
#include <future>
#include <memory>
#include <set>
#include <thread>
#include <utility>

namespace landfall::client {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

class LoopbackBroker::Server {
 public:
  Server() {
    Accept();
    thread_ = std::thread([this] { context_.run(); });
  }

  ~Server() {
    context_.stop();
    thread_.join();
  }

  uint16_t port() const { return acceptor_.local_endpoint().port(); }

  void With(const std::function<void(FakeBroker&)>& use) {
    std::promise<void> done;
    asio::post(context_, [&] {
      use(broker_);
      WriteAll();
      done.set_value();
    });
    done.get_future().wait();
  }

  void Cut() {
    With([this](FakeBroker&) {
      for (const auto& each : std::set(connections_)) Drop(each);
    });
  }

 private:
  struct Connection {
    explicit Connection(tcp::socket s) : socket(std::move(s)) {}
    tcp::socket socket;
    std::shared_ptr<FakeSession> session;
    std::array<char, 65536> buffer;
    ByteBuffer writing;
    bool write_running = false;
  };
  using Ref = std::shared_ptr<Connection>;

  void Accept() {
    acceptor_.async_accept([this](error_code error, tcp::socket socket) {
      if (error) return;
      socket.set_option(tcp::no_delay(true));
      const auto connection = std::make_shared<Connection>(std::move(socket));
      connection->session = FakeSession::Open(broker_);
      connections_.insert(connection);
      Read(connection);
      Accept();
    });
  }

  void Read(const Ref& c) {
    c->socket.async_read_some(asio::buffer(c->buffer), [this, c](error_code error, size_t n) {
      if (error) return Drop(c);
      c->session->Receive(ByteView(c->buffer.data(), n));
      WriteAll();
      Read(c);
    });
  }

  void WriteAll() {
    for (const Ref& each : std::set(connections_)) Write(each);
  }

  void Write(const Ref& c) {
    if (c->write_running) return;
    if (c->session->output().empty()) {
      if (c->session->closed()) Drop(c);
      return;
    }
    c->writing = std::exchange(c->session->output(), {});
    c->write_running = true;
    asio::async_write(c->socket, asio::buffer(c->writing), [this, c](error_code error, size_t) {
      c->write_running = false;
      if (error) return Drop(c);
      Write(c);
    });
  }

  void Drop(const Ref& c) {
    if (connections_.erase(c) == 0) return;
    c->session->Disconnect();
    error_code ignored;
    c->socket.close(ignored);
  }

  asio::io_context context_{1};
  tcp::acceptor acceptor_{context_, tcp::endpoint(asio::ip::address_v4::loopback(), 0)};
  FakeBroker broker_;
  std::set<Ref> connections_;
  std::thread thread_;
};

LoopbackBroker::LoopbackBroker() : server_(std::make_unique<Server>()) {}
LoopbackBroker::~LoopbackBroker() = default;

std::string LoopbackBroker::url() const {
  return "amqp://guest:guest@127.0.0.1:" + std::to_string(server_->port()) + "/";
}

void LoopbackBroker::With(const std::function<void(FakeBroker&)>& use) { server_->With(use); }
void LoopbackBroker::Cut() { server_->Cut(); }

}  // namespace landfall::client
