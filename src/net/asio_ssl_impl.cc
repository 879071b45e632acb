// The one translation unit that holds Asio's own code for TLS.
#include <boost/asio/ssl/impl/src.hpp>
