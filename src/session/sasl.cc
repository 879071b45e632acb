#include "session/sasl.h"

#include "amqp/table.h"

namespace landfall::session {

namespace {

constexpr size_t kMaxUser = 255;
constexpr size_t kMaxPassword = 1024;

std::optional<Login> Bounded(ByteView user, ByteView password) {
  if (user.empty() || user.size() > kMaxUser || password.size() > kMaxPassword) {
    return std::nullopt;
  }
  return Login{std::string(user), std::string(password)};
}

// RFC 4616: [authorization id] NUL user NUL password.
std::optional<Login> ReadPlain(ByteView response) {
  const size_t first = response.find('\0');
  if (first == ByteView::npos) return std::nullopt;
  const size_t second = response.find('\0', first + 1);
  if (second == ByteView::npos) return std::nullopt;
  return Bounded(response.substr(first + 1, second - first - 1), response.substr(second + 1));
}

// A field table without its length, with LOGIN and PASSWORD.
std::optional<Login> ReadAmqplain(ByteView response) {
  const amqp::TableView table(response);
  const auto user = table.FindString("LOGIN");
  const auto password = table.FindString("PASSWORD");
  if (!user || !password) return std::nullopt;
  return Bounded(*user, *password);
}

}  // namespace

ByteView SaslMechanisms(const Peer& peer) {
  return peer.certificate_user ? "PLAIN AMQPLAIN EXTERNAL" : "PLAIN AMQPLAIN";
}

std::expected<std::optional<Login>, Exception> ReadLogin(ByteView mechanism, ByteView response,
                                                         const Peer& peer) {
  if (mechanism == "PLAIN") return ReadPlain(response);
  if (mechanism == "AMQPLAIN") return ReadAmqplain(response);
  // An authorization id in the response is not used: nobody logs in as somebody else.
  if (mechanism == "EXTERNAL" && peer.certificate_user) {
    return Login{.user = *peer.certificate_user, .password = std::nullopt};
  }
  return Refuse(amqp::ReplyCode::kCommandInvalid,
                "unknown authentication mechanism '" + std::string(mechanism) + "'");
}

std::string LoginRefused(ByteView mechanism) {
  return "ACCESS_REFUSED - Login was refused using authentication mechanism " +
         std::string(mechanism) + ". For details see the broker logfile.";
}

}  // namespace landfall::session
