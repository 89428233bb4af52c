// The one file that compiles Asio's TLS; see base/asio_impl.cpp for the rest.
#include <boost/asio/ssl/impl/src.hpp>
