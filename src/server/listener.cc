#include "server/listener.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "server/log.h"

namespace landfall::server {
namespace asio = boost::asio;
using boost::system::error_code;

std::string EndpointText(const asio::ip::tcp::endpoint& endpoint) {
  const std::string host = endpoint.address().to_string();
  return fmt::format("{}:{}", endpoint.address().is_v6() ? "[" + host + "]" : host,
                     endpoint.port());
}

bool IsLoopback(const asio::ip::address& address) {
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).is_loopback();
  }
  return address.is_loopback();
}

Result<void> Listener::Open(const std::string& option, const Endpoint& at) {
  error_code error;
  const auto address = asio::ip::make_address(at.host, error);
  if (error)
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: '{}' is not an IP address; write e.g. 127.0.0.1:{} or 0.0.0.0:{}",
                            option, at.host, at.port, at.port));
  const asio::ip::tcp::endpoint endpoint(address, at.port);
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(1024, error);
  if (error)
    return Fail(ErrorCode::kUnavailable,
                fmt::format("cannot listen on {}: {}; choose another address for {} or stop what "
                            "listens there",
                            EndpointText(endpoint), error.message(), option));
  address_ = EndpointText(acceptor_.local_endpoint());
  return {};
}

void Listener::Start(Next next) {
  next_ = std::move(next);
  Accept();
}

void Listener::Accept() {
  Taker taker = next_();
  acceptor_.async_accept(taker.io,
                         [this, take = std::move(taker.take)](error_code error, Socket socket) {
                           if (error == asio::error::operation_aborted) return;
                           if (error) {
                             // Out of descriptors, most likely: closing connections give some back.
                             LogError("cannot accept a connection", {{"error", error.message()}});
                             pause_.expires_after(std::chrono::milliseconds(100));
                             pause_.async_wait([this](error_code e) {
                               if (!e) Accept();
                             });
                             return;
                           }
                           take(std::move(socket));
                           Accept();
                         });
}

void Listener::Close() {
  error_code ignored;
  acceptor_.close(ignored);
  pause_.cancel();
}

}  // namespace landfall::server
