#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <string>

#include "base/error.h"
#include "server/config.h"

namespace landfall::server {

// "127.0.0.1:5672", "[::1]:5672".
std::string EndpointText(const boost::asio::ip::tcp::endpoint& endpoint);
// Of this machine. A listener on [::] sees 127.0.0.1 as ::ffff:127.0.0.1.
bool IsLoopback(const boost::asio::ip::address& address);

// Takes the connections that come in at one address.
//
// Thread: that of `io`; Open before it runs.
class Listener {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  // Whose the next connection is: the io_context that its socket is made for, and what to do with
  // it.
  struct Taker {
    boost::asio::io_context& io;
    std::function<void(Socket)> take;
  };
  using Next = std::function<Taker()>;

  explicit Listener(boost::asio::io_context& io) : acceptor_(io), pause_(io) {}

  // `option` is what the address was configured with. Errors say what to do.
  Result<void> Open(const std::string& option, const Endpoint& endpoint);
  // Asks for a taker before each connection.
  void Start(Next next);
  void Close();

  // Where it listens, once open (port 0 has become a real one).
  const std::string& address() const { return address_; }

 private:
  void Accept();

  boost::asio::ip::tcp::acceptor acceptor_;
  boost::asio::steady_timer pause_;
  std::string address_;
  Next next_;
};

}  // namespace landfall::server
