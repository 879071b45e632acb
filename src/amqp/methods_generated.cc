// Written by generate.py from the AMQP 0-9-1 specification and landfall_extension.json.
// Do not edit.
#include "amqp/methods_generated.h"

namespace landfall::amqp {

std::string_view MethodName(MethodId id) {
  switch (id) {
    case ConnectionStart::kId:
      return ConnectionStart::kName;
    case ConnectionStartOk::kId:
      return ConnectionStartOk::kName;
    case ConnectionSecure::kId:
      return ConnectionSecure::kName;
    case ConnectionSecureOk::kId:
      return ConnectionSecureOk::kName;
    case ConnectionTune::kId:
      return ConnectionTune::kName;
    case ConnectionTuneOk::kId:
      return ConnectionTuneOk::kName;
    case ConnectionOpen::kId:
      return ConnectionOpen::kName;
    case ConnectionOpenOk::kId:
      return ConnectionOpenOk::kName;
    case ConnectionClose::kId:
      return ConnectionClose::kName;
    case ConnectionCloseOk::kId:
      return ConnectionCloseOk::kName;
    case ConnectionBlocked::kId:
      return ConnectionBlocked::kName;
    case ConnectionUnblocked::kId:
      return ConnectionUnblocked::kName;
    case ConnectionUpdateSecret::kId:
      return ConnectionUpdateSecret::kName;
    case ConnectionUpdateSecretOk::kId:
      return ConnectionUpdateSecretOk::kName;
    case ChannelOpen::kId:
      return ChannelOpen::kName;
    case ChannelOpenOk::kId:
      return ChannelOpenOk::kName;
    case ChannelFlow::kId:
      return ChannelFlow::kName;
    case ChannelFlowOk::kId:
      return ChannelFlowOk::kName;
    case ChannelClose::kId:
      return ChannelClose::kName;
    case ChannelCloseOk::kId:
      return ChannelCloseOk::kName;
    case AccessRequest::kId:
      return AccessRequest::kName;
    case AccessRequestOk::kId:
      return AccessRequestOk::kName;
    case ExchangeDeclare::kId:
      return ExchangeDeclare::kName;
    case ExchangeDeclareOk::kId:
      return ExchangeDeclareOk::kName;
    case ExchangeDelete::kId:
      return ExchangeDelete::kName;
    case ExchangeDeleteOk::kId:
      return ExchangeDeleteOk::kName;
    case ExchangeBind::kId:
      return ExchangeBind::kName;
    case ExchangeBindOk::kId:
      return ExchangeBindOk::kName;
    case ExchangeUnbind::kId:
      return ExchangeUnbind::kName;
    case ExchangeUnbindOk::kId:
      return ExchangeUnbindOk::kName;
    case QueueDeclare::kId:
      return QueueDeclare::kName;
    case QueueDeclareOk::kId:
      return QueueDeclareOk::kName;
    case QueueBind::kId:
      return QueueBind::kName;
    case QueueBindOk::kId:
      return QueueBindOk::kName;
    case QueuePurge::kId:
      return QueuePurge::kName;
    case QueuePurgeOk::kId:
      return QueuePurgeOk::kName;
    case QueueDelete::kId:
      return QueueDelete::kName;
    case QueueDeleteOk::kId:
      return QueueDeleteOk::kName;
    case QueueUnbind::kId:
      return QueueUnbind::kName;
    case QueueUnbindOk::kId:
      return QueueUnbindOk::kName;
    case BasicQos::kId:
      return BasicQos::kName;
    case BasicQosOk::kId:
      return BasicQosOk::kName;
    case BasicConsume::kId:
      return BasicConsume::kName;
    case BasicConsumeOk::kId:
      return BasicConsumeOk::kName;
    case BasicCancel::kId:
      return BasicCancel::kName;
    case BasicCancelOk::kId:
      return BasicCancelOk::kName;
    case BasicPublish::kId:
      return BasicPublish::kName;
    case BasicReturn::kId:
      return BasicReturn::kName;
    case BasicDeliver::kId:
      return BasicDeliver::kName;
    case BasicGet::kId:
      return BasicGet::kName;
    case BasicGetOk::kId:
      return BasicGetOk::kName;
    case BasicGetEmpty::kId:
      return BasicGetEmpty::kName;
    case BasicAck::kId:
      return BasicAck::kName;
    case BasicReject::kId:
      return BasicReject::kName;
    case BasicRecoverAsync::kId:
      return BasicRecoverAsync::kName;
    case BasicRecover::kId:
      return BasicRecover::kName;
    case BasicRecoverOk::kId:
      return BasicRecoverOk::kName;
    case BasicNack::kId:
      return BasicNack::kName;
    case ConfirmSelect::kId:
      return ConfirmSelect::kName;
    case ConfirmSelectOk::kId:
      return ConfirmSelectOk::kName;
    case TxSelect::kId:
      return TxSelect::kName;
    case TxSelectOk::kId:
      return TxSelectOk::kName;
    case TxCommit::kId:
      return TxCommit::kName;
    case TxCommitOk::kId:
      return TxCommitOk::kName;
    case TxRollback::kId:
      return TxRollback::kName;
    case TxRollbackOk::kId:
      return TxRollbackOk::kName;
    case LandfallConfirm::kId:
      return LandfallConfirm::kName;
    case LandfallNack::kId:
      return LandfallNack::kName;
    case LandfallRenew::kId:
      return LandfallRenew::kName;
    case LandfallAck::kId:
      return LandfallAck::kName;
    case LandfallAckLanded::kId:
      return LandfallAckLanded::kName;
    case LandfallRelease::kId:
      return LandfallRelease::kName;
    default:
      return "unknown";
  }
}

bool IsKnownMethod(MethodId id) {
  switch (id) {
    case ConnectionStart::kId:
    case ConnectionStartOk::kId:
    case ConnectionSecure::kId:
    case ConnectionSecureOk::kId:
    case ConnectionTune::kId:
    case ConnectionTuneOk::kId:
    case ConnectionOpen::kId:
    case ConnectionOpenOk::kId:
    case ConnectionClose::kId:
    case ConnectionCloseOk::kId:
    case ConnectionBlocked::kId:
    case ConnectionUnblocked::kId:
    case ConnectionUpdateSecret::kId:
    case ConnectionUpdateSecretOk::kId:
    case ChannelOpen::kId:
    case ChannelOpenOk::kId:
    case ChannelFlow::kId:
    case ChannelFlowOk::kId:
    case ChannelClose::kId:
    case ChannelCloseOk::kId:
    case AccessRequest::kId:
    case AccessRequestOk::kId:
    case ExchangeDeclare::kId:
    case ExchangeDeclareOk::kId:
    case ExchangeDelete::kId:
    case ExchangeDeleteOk::kId:
    case ExchangeBind::kId:
    case ExchangeBindOk::kId:
    case ExchangeUnbind::kId:
    case ExchangeUnbindOk::kId:
    case QueueDeclare::kId:
    case QueueDeclareOk::kId:
    case QueueBind::kId:
    case QueueBindOk::kId:
    case QueuePurge::kId:
    case QueuePurgeOk::kId:
    case QueueDelete::kId:
    case QueueDeleteOk::kId:
    case QueueUnbind::kId:
    case QueueUnbindOk::kId:
    case BasicQos::kId:
    case BasicQosOk::kId:
    case BasicConsume::kId:
    case BasicConsumeOk::kId:
    case BasicCancel::kId:
    case BasicCancelOk::kId:
    case BasicPublish::kId:
    case BasicReturn::kId:
    case BasicDeliver::kId:
    case BasicGet::kId:
    case BasicGetOk::kId:
    case BasicGetEmpty::kId:
    case BasicAck::kId:
    case BasicReject::kId:
    case BasicRecoverAsync::kId:
    case BasicRecover::kId:
    case BasicRecoverOk::kId:
    case BasicNack::kId:
    case ConfirmSelect::kId:
    case ConfirmSelectOk::kId:
    case TxSelect::kId:
    case TxSelectOk::kId:
    case TxCommit::kId:
    case TxCommitOk::kId:
    case TxRollback::kId:
    case TxRollbackOk::kId:
    case LandfallConfirm::kId:
    case LandfallNack::kId:
    case LandfallRenew::kId:
    case LandfallAck::kId:
    case LandfallAckLanded::kId:
    case LandfallRelease::kId:
      return true;
    default:
      return false;
  }
}

bool MethodHasContent(MethodId id) {
  switch (id) {
    case BasicPublish::kId:
    case BasicReturn::kId:
    case BasicDeliver::kId:
    case BasicGetOk::kId:
      return true;
    default:
      return false;
  }
}

bool IsSentByClient(MethodId id) {
  switch (id) {
    case ConnectionStartOk::kId:
    case ConnectionSecureOk::kId:
    case ConnectionTuneOk::kId:
    case ConnectionOpen::kId:
    case ConnectionClose::kId:
    case ConnectionCloseOk::kId:
    case ConnectionUpdateSecret::kId:
    case ChannelOpen::kId:
    case ChannelFlow::kId:
    case ChannelFlowOk::kId:
    case ChannelClose::kId:
    case ChannelCloseOk::kId:
    case AccessRequest::kId:
    case ExchangeDeclare::kId:
    case ExchangeDelete::kId:
    case ExchangeBind::kId:
    case ExchangeUnbind::kId:
    case QueueDeclare::kId:
    case QueueBind::kId:
    case QueuePurge::kId:
    case QueueDelete::kId:
    case QueueUnbind::kId:
    case BasicQos::kId:
    case BasicConsume::kId:
    case BasicCancel::kId:
    case BasicCancelOk::kId:
    case BasicPublish::kId:
    case BasicGet::kId:
    case BasicAck::kId:
    case BasicReject::kId:
    case BasicRecoverAsync::kId:
    case BasicRecover::kId:
    case BasicNack::kId:
    case ConfirmSelect::kId:
    case TxSelect::kId:
    case TxCommit::kId:
    case TxRollback::kId:
    case LandfallNack::kId:
    case LandfallRenew::kId:
    case LandfallAck::kId:
    case LandfallRelease::kId:
      return true;
    default:
      return false;
  }
}

bool IsSentByServer(MethodId id) {
  switch (id) {
    case ConnectionStart::kId:
    case ConnectionSecure::kId:
    case ConnectionTune::kId:
    case ConnectionOpenOk::kId:
    case ConnectionClose::kId:
    case ConnectionCloseOk::kId:
    case ConnectionBlocked::kId:
    case ConnectionUnblocked::kId:
    case ConnectionUpdateSecretOk::kId:
    case ChannelOpenOk::kId:
    case ChannelFlow::kId:
    case ChannelFlowOk::kId:
    case ChannelClose::kId:
    case ChannelCloseOk::kId:
    case AccessRequestOk::kId:
    case ExchangeDeclareOk::kId:
    case ExchangeDeleteOk::kId:
    case ExchangeBindOk::kId:
    case ExchangeUnbindOk::kId:
    case QueueDeclareOk::kId:
    case QueueBindOk::kId:
    case QueuePurgeOk::kId:
    case QueueDeleteOk::kId:
    case QueueUnbindOk::kId:
    case BasicQosOk::kId:
    case BasicConsumeOk::kId:
    case BasicCancel::kId:
    case BasicCancelOk::kId:
    case BasicReturn::kId:
    case BasicDeliver::kId:
    case BasicGetOk::kId:
    case BasicGetEmpty::kId:
    case BasicAck::kId:
    case BasicRecoverOk::kId:
    case BasicNack::kId:
    case ConfirmSelectOk::kId:
    case TxSelectOk::kId:
    case TxCommitOk::kId:
    case TxRollbackOk::kId:
    case LandfallConfirm::kId:
    case LandfallAckLanded::kId:
      return true;
    default:
      return false;
  }
}

void ReadFields(ByteReader& r, ConnectionStart& m) {
  m.version_major = r.Big<uint8_t>();
  m.version_minor = r.Big<uint8_t>();
  m.server_properties = field::ReadTable(r);
  m.mechanisms = field::ReadLongString(r);
  m.locales = field::ReadLongString(r);
}
size_t FieldsSize(const ConnectionStart& m) {
  return 14 + m.server_properties.bytes().size() + m.mechanisms.size() + m.locales.size();
}
char* WriteFields(char* p, const ConnectionStart& m) {
  p = field::Write<uint8_t>(p, m.version_major);
  p = field::Write<uint8_t>(p, m.version_minor);
  p = field::WriteTable(p, m.server_properties);
  p = field::WriteLongString(p, m.mechanisms);
  p = field::WriteLongString(p, m.locales);
  return p;
}

void ReadFields(ByteReader& r, ConnectionStartOk& m) {
  m.client_properties = field::ReadTable(r);
  m.mechanism = field::ReadShortString(r);
  m.response = field::ReadLongString(r);
  m.locale = field::ReadShortString(r);
}
size_t FieldsSize(const ConnectionStartOk& m) {
  return 10 + m.client_properties.bytes().size() + m.mechanism.size() + m.response.size() +
         m.locale.size();
}
char* WriteFields(char* p, const ConnectionStartOk& m) {
  p = field::WriteTable(p, m.client_properties);
  p = field::WriteShortString(p, m.mechanism);
  p = field::WriteLongString(p, m.response);
  p = field::WriteShortString(p, m.locale);
  return p;
}

void ReadFields(ByteReader& r, ConnectionSecure& m) { m.challenge = field::ReadLongString(r); }
size_t FieldsSize(const ConnectionSecure& m) { return 4 + m.challenge.size(); }
char* WriteFields(char* p, const ConnectionSecure& m) {
  p = field::WriteLongString(p, m.challenge);
  return p;
}

void ReadFields(ByteReader& r, ConnectionSecureOk& m) { m.response = field::ReadLongString(r); }
size_t FieldsSize(const ConnectionSecureOk& m) { return 4 + m.response.size(); }
char* WriteFields(char* p, const ConnectionSecureOk& m) {
  p = field::WriteLongString(p, m.response);
  return p;
}

void ReadFields(ByteReader& r, ConnectionTune& m) {
  m.channel_max = r.Big<uint16_t>();
  m.frame_max = r.Big<uint32_t>();
  m.heartbeat = r.Big<uint16_t>();
}
size_t FieldsSize(const ConnectionTune&) { return 8; }
char* WriteFields(char* p, const ConnectionTune& m) {
  p = field::Write<uint16_t>(p, m.channel_max);
  p = field::Write<uint32_t>(p, m.frame_max);
  p = field::Write<uint16_t>(p, m.heartbeat);
  return p;
}

void ReadFields(ByteReader& r, ConnectionTuneOk& m) {
  m.channel_max = r.Big<uint16_t>();
  m.frame_max = r.Big<uint32_t>();
  m.heartbeat = r.Big<uint16_t>();
}
size_t FieldsSize(const ConnectionTuneOk&) { return 8; }
char* WriteFields(char* p, const ConnectionTuneOk& m) {
  p = field::Write<uint16_t>(p, m.channel_max);
  p = field::Write<uint32_t>(p, m.frame_max);
  p = field::Write<uint16_t>(p, m.heartbeat);
  return p;
}

void ReadFields(ByteReader& r, ConnectionOpen& m) {
  m.virtual_host = field::ReadShortString(r);
  field::ReadShortString(r);
  r.Big<uint8_t>();
}
size_t FieldsSize(const ConnectionOpen& m) { return 3 + m.virtual_host.size(); }
char* WriteFields(char* p, const ConnectionOpen& m) {
  p = field::WriteShortString(p, m.virtual_host);
  p = field::WriteShortString(p, {});
  *p++ = static_cast<char>(0);
  return p;
}

void ReadFields(ByteReader& r, ConnectionOpenOk&) { field::ReadShortString(r); }
size_t FieldsSize(const ConnectionOpenOk&) { return 1; }
char* WriteFields(char* p, const ConnectionOpenOk&) {
  p = field::WriteShortString(p, {});
  return p;
}

void ReadFields(ByteReader& r, ConnectionClose& m) {
  m.reply_code = r.Big<uint16_t>();
  m.reply_text = field::ReadShortString(r);
  m.class_id = r.Big<uint16_t>();
  m.method_id = r.Big<uint16_t>();
}
size_t FieldsSize(const ConnectionClose& m) { return 7 + field::CutText(m.reply_text).size(); }
char* WriteFields(char* p, const ConnectionClose& m) {
  p = field::Write<uint16_t>(p, m.reply_code);
  p = field::WriteShortString(p, field::CutText(m.reply_text));
  p = field::Write<uint16_t>(p, m.class_id);
  p = field::Write<uint16_t>(p, m.method_id);
  return p;
}

void ReadFields(ByteReader&, ConnectionCloseOk&) {}
size_t FieldsSize(const ConnectionCloseOk&) { return 0; }
char* WriteFields(char* p, const ConnectionCloseOk&) { return p; }

void ReadFields(ByteReader& r, ConnectionBlocked& m) { m.reason = field::ReadShortString(r); }
size_t FieldsSize(const ConnectionBlocked& m) { return 1 + field::CutText(m.reason).size(); }
char* WriteFields(char* p, const ConnectionBlocked& m) {
  p = field::WriteShortString(p, field::CutText(m.reason));
  return p;
}

void ReadFields(ByteReader&, ConnectionUnblocked&) {}
size_t FieldsSize(const ConnectionUnblocked&) { return 0; }
char* WriteFields(char* p, const ConnectionUnblocked&) { return p; }

void ReadFields(ByteReader& r, ConnectionUpdateSecret& m) {
  m.new_secret = field::ReadLongString(r);
  m.reason = field::ReadShortString(r);
}
size_t FieldsSize(const ConnectionUpdateSecret& m) {
  return 5 + m.new_secret.size() + field::CutText(m.reason).size();
}
char* WriteFields(char* p, const ConnectionUpdateSecret& m) {
  p = field::WriteLongString(p, m.new_secret);
  p = field::WriteShortString(p, field::CutText(m.reason));
  return p;
}

void ReadFields(ByteReader&, ConnectionUpdateSecretOk&) {}
size_t FieldsSize(const ConnectionUpdateSecretOk&) { return 0; }
char* WriteFields(char* p, const ConnectionUpdateSecretOk&) { return p; }

void ReadFields(ByteReader& r, ChannelOpen&) { field::ReadShortString(r); }
size_t FieldsSize(const ChannelOpen&) { return 1; }
char* WriteFields(char* p, const ChannelOpen&) {
  p = field::WriteShortString(p, {});
  return p;
}

void ReadFields(ByteReader& r, ChannelOpenOk&) { field::ReadLongString(r); }
size_t FieldsSize(const ChannelOpenOk&) { return 4; }
char* WriteFields(char* p, const ChannelOpenOk&) {
  p = field::WriteLongString(p, {});
  return p;
}

void ReadFields(ByteReader& r, ChannelFlow& m) {
  const auto bits = r.Big<uint8_t>();
  m.active = (bits & 1) != 0;
}
size_t FieldsSize(const ChannelFlow&) { return 1; }
char* WriteFields(char* p, const ChannelFlow& m) {
  *p++ = static_cast<char>((m.active ? 1 : 0));
  return p;
}

void ReadFields(ByteReader& r, ChannelFlowOk& m) {
  const auto bits = r.Big<uint8_t>();
  m.active = (bits & 1) != 0;
}
size_t FieldsSize(const ChannelFlowOk&) { return 1; }
char* WriteFields(char* p, const ChannelFlowOk& m) {
  *p++ = static_cast<char>((m.active ? 1 : 0));
  return p;
}

void ReadFields(ByteReader& r, ChannelClose& m) {
  m.reply_code = r.Big<uint16_t>();
  m.reply_text = field::ReadShortString(r);
  m.class_id = r.Big<uint16_t>();
  m.method_id = r.Big<uint16_t>();
}
size_t FieldsSize(const ChannelClose& m) { return 7 + field::CutText(m.reply_text).size(); }
char* WriteFields(char* p, const ChannelClose& m) {
  p = field::Write<uint16_t>(p, m.reply_code);
  p = field::WriteShortString(p, field::CutText(m.reply_text));
  p = field::Write<uint16_t>(p, m.class_id);
  p = field::Write<uint16_t>(p, m.method_id);
  return p;
}

void ReadFields(ByteReader&, ChannelCloseOk&) {}
size_t FieldsSize(const ChannelCloseOk&) { return 0; }
char* WriteFields(char* p, const ChannelCloseOk&) { return p; }

void ReadFields(ByteReader& r, AccessRequest& m) {
  m.realm = field::ReadShortString(r);
  const auto bits = r.Big<uint8_t>();
  m.exclusive = (bits & 1) != 0;
  m.passive = (bits & 2) != 0;
  m.active = (bits & 4) != 0;
  m.write = (bits & 8) != 0;
  m.read = (bits & 16) != 0;
}
size_t FieldsSize(const AccessRequest& m) { return 2 + m.realm.size(); }
char* WriteFields(char* p, const AccessRequest& m) {
  p = field::WriteShortString(p, m.realm);
  *p++ = static_cast<char>((m.exclusive ? 1 : 0) | (m.passive ? 2 : 0) | (m.active ? 4 : 0) |
                           (m.write ? 8 : 0) | (m.read ? 16 : 0));
  return p;
}

void ReadFields(ByteReader& r, AccessRequestOk& m) { m.ticket = r.Big<uint16_t>(); }
size_t FieldsSize(const AccessRequestOk&) { return 2; }
char* WriteFields(char* p, const AccessRequestOk& m) {
  p = field::Write<uint16_t>(p, m.ticket);
  return p;
}

void ReadFields(ByteReader& r, ExchangeDeclare& m) {
  r.Big<uint16_t>();
  m.exchange = field::ReadShortString(r);
  m.type = field::ReadShortString(r);
  const auto bits = r.Big<uint8_t>();
  m.passive = (bits & 1) != 0;
  m.durable = (bits & 2) != 0;
  m.auto_delete = (bits & 4) != 0;
  m.internal = (bits & 8) != 0;
  m.no_wait = (bits & 16) != 0;
  m.arguments = field::ReadTable(r);
}
size_t FieldsSize(const ExchangeDeclare& m) {
  return 9 + m.exchange.size() + m.type.size() + m.arguments.bytes().size();
}
char* WriteFields(char* p, const ExchangeDeclare& m) {
  p = field::Write<uint16_t>(p, 0);
  p = field::WriteShortString(p, m.exchange);
  p = field::WriteShortString(p, m.type);
  *p++ = static_cast<char>((m.passive ? 1 : 0) | (m.durable ? 2 : 0) | (m.auto_delete ? 4 : 0) |
                           (m.internal ? 8 : 0) | (m.no_wait ? 16 : 0));
  p = field::WriteTable(p, m.arguments);
  return p;
}

void ReadFields(ByteReader&, ExchangeDeclareOk&) {}
size_t FieldsSize(const ExchangeDeclareOk&) { return 0; }
char* WriteFields(char* p, const ExchangeDeclareOk&) { return p; }

void ReadFields(ByteReader& r, ExchangeDelete& m) {
  r.Big<uint16_t>();
  m.exchange = field::ReadShortString(r);
  const auto bits = r.Big<uint8_t>();
  m.if_unused = (bits & 1) != 0;
  m.no_wait = (bits & 2) != 0;
}
size_t FieldsSize(const ExchangeDelete& m) { return 4 + m.exchange.size(); }
char* WriteFields(char* p, const ExchangeDelete& m) {
  p = field::Write<uint16_t>(p, 0);
  p = field::WriteShortString(p, m.exchange);
  *p++ = static_cast<char>((m.if_unused ? 1 : 0) | (m.no_wait ? 2 : 0));
  return p;
}

void ReadFields(ByteReader&, ExchangeDeleteOk&) {}
size_t FieldsSize(const ExchangeDeleteOk&) { return 0; }
char* WriteFields(char* p, const ExchangeDeleteOk&) { return p; }

void ReadFields(ByteReader& r, ExchangeBind& m) {
  r.Big<uint16_t>();
  m.destination = field::ReadShortString(r);
  m.source = field::ReadShortString(r);
  m.routing_key = field::ReadShortString(r);
  const auto bits = r.Big<uint8_t>();
  m.no_wait = (bits & 1) != 0;
  m.arguments = field::ReadTable(r);
}
size_t FieldsSize(const ExchangeBind& m) {
  return 10 + m.destination.size() + m.source.size() + m.routing_key.size() +
         m.arguments.bytes().size();
}
char* WriteFields(char* p, const ExchangeBind& m) {
  p = field::Write<uint16_t>(p, 0);
  p = field::WriteShortString(p, m.destination);
  p = field::WriteShortString(p, m.source);
  p = field::WriteShortString(p, m.routing_key);
  *p++ = static_cast<char>((m.no_wait ? 1 : 0));
  p = field::WriteTable(p, m.arguments);
  return p;
}

void ReadFields(ByteReader&, ExchangeBindOk&) {}
size_t FieldsSize(const ExchangeBindOk&) { return 0; }
char* WriteFields(char* p, const ExchangeBindOk&) { return p; }

void ReadFields(ByteReader& r, ExchangeUnbind& m) {
  r.Big<uint16_t>();
  m.destination = field::ReadShortString(r);
  m.source = field::ReadShortString(r);
  m.routing_key = field::ReadShortString(r);
  const auto bits = r.Big<uint8_t>();
  m.no_wait = (bits & 1) != 0;
  m.arguments = field::ReadTable(r);
}
size_t FieldsSize(const ExchangeUnbind& m) {
  return 10 + m.destination.size() + m.source.size() + m.routing_key.size() +
         m.arguments.bytes().size();
}
char* WriteFields(char* p, const ExchangeUnbind& m) {
  p = field::Write<uint16_t>(p, 0);
  p = field::WriteShortString(p, m.destination);
  p = field::WriteShortString(p, m.source);
  p = field::WriteShortString(p, m.routing_key);
  *p++ = static_cast<char>((m.no_wait ? 1 : 0));
  p = field::WriteTable(p, m.arguments);
  return p;
}

void ReadFields(ByteReader&, ExchangeUnbindOk&) {}
size_t FieldsSize(const ExchangeUnbindOk&) { return 0; }
char* WriteFields(char* p, const ExchangeUnbindOk&) { return p; }

void ReadFields(ByteReader& r, QueueDeclare& m) {
  r.Big<uint16_t>();
  m.queue = field::ReadShortString(r);
  const auto bits = r.Big<uint8_t>();
  m.passive = (bits & 1) != 0;
  m.durable = (bits & 2) != 0;
  m.exclusive = (bits & 4) != 0;
  m.auto_delete = (bits & 8) != 0;
  m.no_wait = (bits & 16) != 0;
  m.arguments = field::ReadTable(r);
}
size_t FieldsSize(const QueueDeclare& m) { return 8 + m.queue.size() + m.arguments.bytes().size(); }
char* WriteFields(char* p, const QueueDeclare& m) {
  p = field::Write<uint16_t>(p, 0);
  p = field::WriteShortString(p, m.queue);
  *p++ = static_cast<char>((m.passive ? 1 : 0) | (m.durable ? 2 : 0) | (m.exclusive ? 4 : 0) |
                           (m.auto_delete ? 8 : 0) | (m.no_wait ? 16 : 0));
  p = field::WriteTable(p, m.arguments);
  return p;
}

void ReadFields(ByteReader& r, QueueDeclareOk& m) {
  m.queue = field::ReadShortString(r);
  m.message_count = r.Big<uint32_t>();
  m.consumer_count = r.Big<uint32_t>();
}
size_t FieldsSize(const QueueDeclareOk& m) { return 9 + m.queue.size(); }
char* WriteFields(char* p, const QueueDeclareOk& m) {
  p = field::WriteShortString(p, m.queue);
  p = field::Write<uint32_t>(p, m.message_count);
  p = field::Write<uint32_t>(p, m.consumer_count);
  return p;
}

void ReadFields(ByteReader& r, QueueBind& m) {
  r.Big<uint16_t>();
  m.queue = field::ReadShortString(r);
  m.exchange = field::ReadShortString(r);
  m.routing_key = field::ReadShortString(r);
  const auto bits = r.Big<uint8_t>();
  m.no_wait = (bits & 1) != 0;
  m.arguments = field::ReadTable(r);
}
size_t FieldsSize(const QueueBind& m) {
  return 10 + m.queue.size() + m.exchange.size() + m.routing_key.size() +
         m.arguments.bytes().size();
}
char* WriteFields(char* p, const QueueBind& m) {
  p = field::Write<uint16_t>(p, 0);
  p = field::WriteShortString(p, m.queue);
  p = field::WriteShortString(p, m.exchange);
  p = field::WriteShortString(p, m.routing_key);
  *p++ = static_cast<char>((m.no_wait ? 1 : 0));
  p = field::WriteTable(p, m.arguments);
  return p;
}

void ReadFields(ByteReader&, QueueBindOk&) {}
size_t FieldsSize(const QueueBindOk&) { return 0; }
char* WriteFields(char* p, const QueueBindOk&) { return p; }

void ReadFields(ByteReader& r, QueuePurge& m) {
  r.Big<uint16_t>();
  m.queue = field::ReadShortString(r);
  const auto bits = r.Big<uint8_t>();
  m.no_wait = (bits & 1) != 0;
}
size_t FieldsSize(const QueuePurge& m) { return 4 + m.queue.size(); }
char* WriteFields(char* p, const QueuePurge& m) {
  p = field::Write<uint16_t>(p, 0);
  p = field::WriteShortString(p, m.queue);
  *p++ = static_cast<char>((m.no_wait ? 1 : 0));
  return p;
}

void ReadFields(ByteReader& r, QueuePurgeOk& m) { m.message_count = r.Big<uint32_t>(); }
size_t FieldsSize(const QueuePurgeOk&) { return 4; }
char* WriteFields(char* p, const QueuePurgeOk& m) {
  p = field::Write<uint32_t>(p, m.message_count);
  return p;
}

void ReadFields(ByteReader& r, QueueDelete& m) {
  r.Big<uint16_t>();
  m.queue = field::ReadShortString(r);
  const auto bits = r.Big<uint8_t>();
  m.if_unused = (bits & 1) != 0;
  m.if_empty = (bits & 2) != 0;
  m.no_wait = (bits & 4) != 0;
}
size_t FieldsSize(const QueueDelete& m) { return 4 + m.queue.size(); }
char* WriteFields(char* p, const QueueDelete& m) {
  p = field::Write<uint16_t>(p, 0);
  p = field::WriteShortString(p, m.queue);
  *p++ = static_cast<char>((m.if_unused ? 1 : 0) | (m.if_empty ? 2 : 0) | (m.no_wait ? 4 : 0));
  return p;
}

void ReadFields(ByteReader& r, QueueDeleteOk& m) { m.message_count = r.Big<uint32_t>(); }
size_t FieldsSize(const QueueDeleteOk&) { return 4; }
char* WriteFields(char* p, const QueueDeleteOk& m) {
  p = field::Write<uint32_t>(p, m.message_count);
  return p;
}

void ReadFields(ByteReader& r, QueueUnbind& m) {
  r.Big<uint16_t>();
  m.queue = field::ReadShortString(r);
  m.exchange = field::ReadShortString(r);
  m.routing_key = field::ReadShortString(r);
  m.arguments = field::ReadTable(r);
}
size_t FieldsSize(const QueueUnbind& m) {
  return 9 + m.queue.size() + m.exchange.size() + m.routing_key.size() + m.arguments.bytes().size();
}
char* WriteFields(char* p, const QueueUnbind& m) {
  p = field::Write<uint16_t>(p, 0);
  p = field::WriteShortString(p, m.queue);
  p = field::WriteShortString(p, m.exchange);
  p = field::WriteShortString(p, m.routing_key);
  p = field::WriteTable(p, m.arguments);
  return p;
}

void ReadFields(ByteReader&, QueueUnbindOk&) {}
size_t FieldsSize(const QueueUnbindOk&) { return 0; }
char* WriteFields(char* p, const QueueUnbindOk&) { return p; }

void ReadFields(ByteReader& r, BasicQos& m) {
  m.prefetch_size = r.Big<uint32_t>();
  m.prefetch_count = r.Big<uint16_t>();
  const auto bits = r.Big<uint8_t>();
  m.global = (bits & 1) != 0;
}
size_t FieldsSize(const BasicQos&) { return 7; }
char* WriteFields(char* p, const BasicQos& m) {
  p = field::Write<uint32_t>(p, m.prefetch_size);
  p = field::Write<uint16_t>(p, m.prefetch_count);
  *p++ = static_cast<char>((m.global ? 1 : 0));
  return p;
}

void ReadFields(ByteReader&, BasicQosOk&) {}
size_t FieldsSize(const BasicQosOk&) { return 0; }
char* WriteFields(char* p, const BasicQosOk&) { return p; }

void ReadFields(ByteReader& r, BasicConsume& m) {
  r.Big<uint16_t>();
  m.queue = field::ReadShortString(r);
  m.consumer_tag = field::ReadShortString(r);
  const auto bits = r.Big<uint8_t>();
  m.no_local = (bits & 1) != 0;
  m.no_ack = (bits & 2) != 0;
  m.exclusive = (bits & 4) != 0;
  m.no_wait = (bits & 8) != 0;
  m.arguments = field::ReadTable(r);
}
size_t FieldsSize(const BasicConsume& m) {
  return 9 + m.queue.size() + m.consumer_tag.size() + m.arguments.bytes().size();
}
char* WriteFields(char* p, const BasicConsume& m) {
  p = field::Write<uint16_t>(p, 0);
  p = field::WriteShortString(p, m.queue);
  p = field::WriteShortString(p, m.consumer_tag);
  *p++ = static_cast<char>((m.no_local ? 1 : 0) | (m.no_ack ? 2 : 0) | (m.exclusive ? 4 : 0) |
                           (m.no_wait ? 8 : 0));
  p = field::WriteTable(p, m.arguments);
  return p;
}

void ReadFields(ByteReader& r, BasicConsumeOk& m) { m.consumer_tag = field::ReadShortString(r); }
size_t FieldsSize(const BasicConsumeOk& m) { return 1 + m.consumer_tag.size(); }
char* WriteFields(char* p, const BasicConsumeOk& m) {
  p = field::WriteShortString(p, m.consumer_tag);
  return p;
}

void ReadFields(ByteReader& r, BasicCancel& m) {
  m.consumer_tag = field::ReadShortString(r);
  const auto bits = r.Big<uint8_t>();
  m.no_wait = (bits & 1) != 0;
}
size_t FieldsSize(const BasicCancel& m) { return 2 + m.consumer_tag.size(); }
char* WriteFields(char* p, const BasicCancel& m) {
  p = field::WriteShortString(p, m.consumer_tag);
  *p++ = static_cast<char>((m.no_wait ? 1 : 0));
  return p;
}

void ReadFields(ByteReader& r, BasicCancelOk& m) { m.consumer_tag = field::ReadShortString(r); }
size_t FieldsSize(const BasicCancelOk& m) { return 1 + m.consumer_tag.size(); }
char* WriteFields(char* p, const BasicCancelOk& m) {
  p = field::WriteShortString(p, m.consumer_tag);
  return p;
}

void ReadFields(ByteReader& r, BasicReturn& m) {
  m.reply_code = r.Big<uint16_t>();
  m.reply_text = field::ReadShortString(r);
  m.exchange = field::ReadShortString(r);
  m.routing_key = field::ReadShortString(r);
}
size_t FieldsSize(const BasicReturn& m) {
  return 5 + field::CutText(m.reply_text).size() + m.exchange.size() + m.routing_key.size();
}
char* WriteFields(char* p, const BasicReturn& m) {
  p = field::Write<uint16_t>(p, m.reply_code);
  p = field::WriteShortString(p, field::CutText(m.reply_text));
  p = field::WriteShortString(p, m.exchange);
  p = field::WriteShortString(p, m.routing_key);
  return p;
}

void ReadFields(ByteReader& r, BasicGet& m) {
  r.Big<uint16_t>();
  m.queue = field::ReadShortString(r);
  const auto bits = r.Big<uint8_t>();
  m.no_ack = (bits & 1) != 0;
}
size_t FieldsSize(const BasicGet& m) { return 4 + m.queue.size(); }
char* WriteFields(char* p, const BasicGet& m) {
  p = field::Write<uint16_t>(p, 0);
  p = field::WriteShortString(p, m.queue);
  *p++ = static_cast<char>((m.no_ack ? 1 : 0));
  return p;
}

void ReadFields(ByteReader& r, BasicGetOk& m) {
  m.delivery_tag = r.Big<uint64_t>();
  const auto bits = r.Big<uint8_t>();
  m.redelivered = (bits & 1) != 0;
  m.exchange = field::ReadShortString(r);
  m.routing_key = field::ReadShortString(r);
  m.message_count = r.Big<uint32_t>();
}
size_t FieldsSize(const BasicGetOk& m) { return 15 + m.exchange.size() + m.routing_key.size(); }
char* WriteFields(char* p, const BasicGetOk& m) {
  p = field::Write<uint64_t>(p, m.delivery_tag);
  *p++ = static_cast<char>((m.redelivered ? 1 : 0));
  p = field::WriteShortString(p, m.exchange);
  p = field::WriteShortString(p, m.routing_key);
  p = field::Write<uint32_t>(p, m.message_count);
  return p;
}

void ReadFields(ByteReader& r, BasicGetEmpty&) { field::ReadShortString(r); }
size_t FieldsSize(const BasicGetEmpty&) { return 1; }
char* WriteFields(char* p, const BasicGetEmpty&) {
  p = field::WriteShortString(p, {});
  return p;
}

void ReadFields(ByteReader& r, BasicRecoverAsync& m) {
  const auto bits = r.Big<uint8_t>();
  m.requeue = (bits & 1) != 0;
}
size_t FieldsSize(const BasicRecoverAsync&) { return 1; }
char* WriteFields(char* p, const BasicRecoverAsync& m) {
  *p++ = static_cast<char>((m.requeue ? 1 : 0));
  return p;
}

void ReadFields(ByteReader& r, BasicRecover& m) {
  const auto bits = r.Big<uint8_t>();
  m.requeue = (bits & 1) != 0;
}
size_t FieldsSize(const BasicRecover&) { return 1; }
char* WriteFields(char* p, const BasicRecover& m) {
  *p++ = static_cast<char>((m.requeue ? 1 : 0));
  return p;
}

void ReadFields(ByteReader&, BasicRecoverOk&) {}
size_t FieldsSize(const BasicRecoverOk&) { return 0; }
char* WriteFields(char* p, const BasicRecoverOk&) { return p; }

void ReadFields(ByteReader& r, ConfirmSelect& m) {
  const auto bits = r.Big<uint8_t>();
  m.no_wait = (bits & 1) != 0;
}
size_t FieldsSize(const ConfirmSelect&) { return 1; }
char* WriteFields(char* p, const ConfirmSelect& m) {
  *p++ = static_cast<char>((m.no_wait ? 1 : 0));
  return p;
}

void ReadFields(ByteReader&, ConfirmSelectOk&) {}
size_t FieldsSize(const ConfirmSelectOk&) { return 0; }
char* WriteFields(char* p, const ConfirmSelectOk&) { return p; }

void ReadFields(ByteReader&, TxSelect&) {}
size_t FieldsSize(const TxSelect&) { return 0; }
char* WriteFields(char* p, const TxSelect&) { return p; }

void ReadFields(ByteReader&, TxSelectOk&) {}
size_t FieldsSize(const TxSelectOk&) { return 0; }
char* WriteFields(char* p, const TxSelectOk&) { return p; }

void ReadFields(ByteReader&, TxCommit&) {}
size_t FieldsSize(const TxCommit&) { return 0; }
char* WriteFields(char* p, const TxCommit&) { return p; }

void ReadFields(ByteReader&, TxCommitOk&) {}
size_t FieldsSize(const TxCommitOk&) { return 0; }
char* WriteFields(char* p, const TxCommitOk&) { return p; }

void ReadFields(ByteReader&, TxRollback&) {}
size_t FieldsSize(const TxRollback&) { return 0; }
char* WriteFields(char* p, const TxRollback&) { return p; }

void ReadFields(ByteReader&, TxRollbackOk&) {}
size_t FieldsSize(const TxRollbackOk&) { return 0; }
char* WriteFields(char* p, const TxRollbackOk&) { return p; }

void ReadFields(ByteReader& r, LandfallNack& m) {
  m.delivery_tag = r.Big<uint64_t>();
  m.delay_ms = r.Big<uint32_t>();
}
size_t FieldsSize(const LandfallNack&) { return 12; }
char* WriteFields(char* p, const LandfallNack& m) {
  p = field::Write<uint64_t>(p, m.delivery_tag);
  p = field::Write<uint32_t>(p, m.delay_ms);
  return p;
}

void ReadFields(ByteReader& r, LandfallRenew& m) {
  m.delivery_tag = r.Big<uint64_t>();
  m.lease_ms = r.Big<uint32_t>();
}
size_t FieldsSize(const LandfallRenew&) { return 12; }
char* WriteFields(char* p, const LandfallRenew& m) {
  p = field::Write<uint64_t>(p, m.delivery_tag);
  p = field::Write<uint32_t>(p, m.lease_ms);
  return p;
}

void ReadFields(ByteReader& r, LandfallRelease& m) {
  m.delivery_tag = r.Big<uint64_t>();
  const auto bits = r.Big<uint8_t>();
  m.multiple = (bits & 1) != 0;
}
size_t FieldsSize(const LandfallRelease&) { return 9; }
char* WriteFields(char* p, const LandfallRelease& m) {
  p = field::Write<uint64_t>(p, m.delivery_tag);
  *p++ = static_cast<char>((m.multiple ? 1 : 0));
  return p;
}

}  // namespace landfall::amqp
