// From the protocol header to connection.open-ok.
#include <string>
#include <utility>

#include "base/assert.h"
#include "session/connection.h"
#include "session/sasl.h"

namespace landfall::session {

using amqp::ReplyCode;

namespace {

// Before tuning, frames may have this size: room for generous client properties, and no more than
// a stranger should be able to make us hold.
constexpr uint32_t kHandshakeFrameMax = 8192;

// Of what a client says about itself, for people who look at the connection. What clients send
// takes some 500 bytes.
constexpr size_t kKeptClientProperties = 2048;

amqp::Table ServerProperties(const SessionOptions& options) {
  amqp::Table capabilities{{"publisher_confirms", true},
                           {"exchange_exchange_bindings", true},
                           {"basic.nack", true},
                           {"consumer_cancel_notify", true},
                           {"connection.blocked", true},
                           {"consumer_priorities", true},
                           {"authentication_failure_close", true},
                           {"per_consumer_qos", true},
                           {"direct_reply_to", true},
                           {"landfall.extensions", true}};
  return amqp::Table{{"capabilities", std::move(capabilities)},
                     {"cluster_name", options.node_name},
                     {"information", "Landfall, a message broker that does not lose messages"},
                     {"platform", "C++"},
                     {"product", options.product},
                     {"version", options.version}};
}

PeerCapabilities ReadCapabilities(const amqp::Table& properties) {
  PeerCapabilities peer;
  const amqp::Table* named = properties.GetTable("capabilities");
  if (named == nullptr) return peer;
  const auto has = [&](std::string_view name) { return named->GetBool(name).value_or(false); };
  peer.consumer_cancel_notify = has("consumer_cancel_notify");
  peer.connection_blocked = has("connection.blocked");
  peer.authentication_failure_close = has("authentication_failure_close");
  peer.landfall_extensions = has("landfall.extensions");
  return peer;
}

// The peer's wish within ours; 0 is no limit on either side.
template <class T>
std::expected<T, Exception> Negotiate(std::string_view name, T ours, T wish) {
  if (ours != 0 && wish > ours) {
    return Refuse(ReplyCode::kNotAllowed,
                  "negotiated " + std::string(name) + " = " + std::to_string(wish) +
                      " is higher than the maximum allowed value (" + std::to_string(ours) + ")");
  }
  return wish == 0 ? ours : wish;
}

}  // namespace

Session::Connection::Connection(broker::SessionId id, const SessionOptions& options, Peer peer,
                                SessionPorts& ports, Time now)
    : context_(id, options, ports, id ^ static_cast<uint64_t>(now.time_since_epoch().count())),
      peer_(std::move(peer)),
      now_(now),
      handshake_deadline_(now + options.handshake_timeout),
      frame_limit_(kHandshakeFrameMax),
      connected_at_(now),
      last_received_(now),
      last_sent_(now) {}

size_t Session::Connection::OnProtocolHeader(ByteView input) {
  switch (amqp::ParseProtocolHeader(input)) {
    case amqp::HeaderStatus::kNeedMore:
      return 0;
    case amqp::HeaderStatus::kMismatch:
      context_.out.append(amqp::kProtocolHeader);
      CloseSocket("the peer does not speak AMQP 0-9-1");
      return input.size();
    case amqp::HeaderStatus::kOk:
      break;
  }
  const ByteBuffer properties = ServerProperties(context_.options).Encode();
  context_.Send(0, amqp::ConnectionStart{.version_major = 0,
                                         .version_minor = 9,
                                         .server_properties = amqp::TableView(properties),
                                         .mechanisms = SaslMechanisms(peer_),
                                         .locales = "en_US"});
  phase_ = Phase::kStartOk;
  return amqp::kProtocolHeader.size();
}

Verdict Session::Connection::OnHandshake(amqp::MethodId id, ByteView payload) {
  const auto handle = [&]<class M>(std::type_identity<M>) -> Verdict {
    const auto method = amqp::Decode<M>(payload);
    if (!method) return Refuse(ReplyCode::kSyntaxError, method.error().message);
    return On(*method);
  };
  if (phase_ == Phase::kStartOk && id == amqp::ConnectionStartOk::kId) {
    return handle(std::type_identity<amqp::ConnectionStartOk>());
  }
  if (phase_ == Phase::kTuneOk && id == amqp::ConnectionTuneOk::kId) {
    return handle(std::type_identity<amqp::ConnectionTuneOk>());
  }
  if (phase_ == Phase::kOpen && id == amqp::ConnectionOpen::kId) {
    return handle(std::type_identity<amqp::ConnectionOpen>());
  }
  return Refuse(ReplyCode::kCommandInvalid,
                "method '" + std::string(amqp::MethodName(id)) + "' out of order");
}

Verdict Session::Connection::On(const amqp::ConnectionStartOk& m) {
  const auto properties = m.client_properties.Decode();
  if (!properties) return Refuse(ReplyCode::kSyntaxError, properties.error().message);
  context_.peer = ReadCapabilities(*properties);
  if (m.client_properties.bytes().size() <= kKeptClientProperties)
    client_properties_ = m.client_properties.bytes();
  auto login = ReadLogin(m.mechanism, m.response, peer_);
  if (!login) return std::unexpected(std::move(login.error()));
  mechanism_ = m.mechanism;
  if (!*login) {
    RefuseLogin("malformed credentials");
    return {};
  }
  login_ = (*login)->user;
  if (login_ == "guest" && !peer_.loopback) {
    RefuseLogin("user 'guest' can only log in from this machine");
    return {};
  }
  phase_ = Phase::kAuthenticating;
  context_.ports.Authenticate(context_.id, std::move(**login));
  return {};
}

void Session::Connection::OnAuthenticated(const AuthResult& result, Time now) {
  Turn turn(*this, now);
  if (phase_ != Phase::kAuthenticating) return;
  if (!result.ok) {
    RefuseLogin(result.reason);
    return;
  }
  context_.user = login_;
  context_.origin = new broker::Origin(login_, peer_.name);
  LANDFALL_ASSERT(result.accounts != nullptr);
  accounts_ = result.accounts;
  context_.Adopt(accounts_);
  if (!context_.account) {
    RefuseLogin("the user has been deleted");
    return;
  }
  context_.Send(0, amqp::ConnectionTune{.channel_max = context_.options.channel_max,
                                        .frame_max = context_.options.frame_max,
                                        .heartbeat = context_.options.heartbeat_seconds});
  phase_ = Phase::kTuneOk;
}

void Session::Connection::RefuseLogin(ByteView reason) {
  const std::string why = "login of user '" + login_ + "' refused: " + std::string(reason);
  if (!context_.peer.authentication_failure_close) {
    // Older clients take a silent close at this point for a refusal.
    CloseSocket(why);
    return;
  }
  end_reason_ = why;
  Fail(Exception{ReplyCode::kAccessRefused, LoginRefused(mechanism_), 0});
}

Verdict Session::Connection::On(const amqp::ConnectionTuneOk& m) {
  const auto channel_max =
      Negotiate<uint16_t>("channel_max", context_.options.channel_max, m.channel_max);
  if (!channel_max) return std::unexpected(channel_max.error());
  if (m.frame_max != 0 && m.frame_max < amqp::kMinFrameMax) {
    return Refuse(ReplyCode::kNotAllowed, "frame_max=" + std::to_string(m.frame_max) + " < " +
                                              std::to_string(amqp::kMinFrameMax) + " min size");
  }
  const auto frame_max = Negotiate<uint32_t>("frame_max", context_.options.frame_max, m.frame_max);
  if (!frame_max) return std::unexpected(frame_max.error());
  channel_max_ = *channel_max == 0 ? UINT16_MAX : *channel_max;
  context_.frame_max = *frame_max;
  frame_limit_ = *frame_max;
  heartbeat_seconds_ = m.heartbeat;
  phase_ = Phase::kOpen;
  return {};
}

Verdict Session::Connection::On(const amqp::ConnectionOpen& m) {
  const std::string vhost(m.virtual_host);
  if (!context_.ports.topology().FindVhost(vhost)) {
    return Refuse(ReplyCode::kNotAllowed, "vhost " + vhost + " not found");
  }
  context_.vhost = vhost;
  context_.Adopt(accounts_);
  if (!context_.permissions) {
    return Refuse(ReplyCode::kNotAllowed,
                  "access to vhost '" + vhost + "' refused for user '" + context_.user + "'");
  }
  if (Verdict seats = TakeSeats(); !seats) return seats;
  context_.Send(0, amqp::ConnectionOpenOk{});
  phase_ = Phase::kRunning;
  return {};
}

// Of all connections of the user and to the vhost, on whichever worker.
Verdict Session::Connection::TakeSeats() {
  const std::optional<uint32_t> of_vhost = accounts_->LimitsOf(context_.vhost).max_connections;
  auto vhost_seat = access::Seat::Take(accounts_->usage->OfVhost(context_.vhost),
                                       &access::Usage::connections, of_vhost);
  if (!vhost_seat) {
    return Refuse(ReplyCode::kNotAllowed,
                  "access to vhost '" + context_.vhost + "' refused for user '" + context_.user +
                      "': connection limit (" + std::to_string(*of_vhost) + ") is reached");
  }
  user_usage_ = accounts_->usage->OfUser(context_.user);
  const std::optional<uint32_t> of_user = context_.account->max_connections;
  auto user_seat = access::Seat::Take(user_usage_, &access::Usage::connections, of_user);
  if (!user_seat) {
    return Refuse(ReplyCode::kNotAllowed, "Connection refused for user '" + context_.user +
                                              "': user connection limit (" +
                                              std::to_string(*of_user) + ") is reached");
  }
  vhost_seat_ = std::move(*vhost_seat);
  user_seat_ = std::move(*user_seat);
  accounts_.reset();
  return {};
}

void Session::Connection::OnAccounts(const access::AccountsRef& accounts, Time now) {
  if (context_.user.empty() || ending_ || end_deferred_) return;
  Turn turn(*this, now);
  if (accounts_) accounts_ = accounts;
  context_.Adopt(accounts);
  if (context_.account) return;
  Fail(Exception{ReplyCode::kConnectionForced,
                 "CONNECTION_FORCED - user '" + context_.user + "' was deleted", 0});
}

}  // namespace landfall::session
