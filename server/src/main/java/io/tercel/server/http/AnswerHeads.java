package io.tercel.server.http;

import io.netty.handler.codec.http.DefaultHttpResponse;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaderValues;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.codec.http.HttpResponse;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpUtil;
import io.netty.handler.codec.http.HttpVersion;
import io.tercel.server.call.KeyHolder;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** Makes the heads of answers to one request. */
final class AnswerHeads {
  private final RequestHead request;
  private final Cors cors;
  private final Supplier<KeyHolder> holder;

  /**
   * For a request.
   *
   * @param holder of its key, whose limits answers tell of
   */
  AnswerHeads(RequestHead request, Cors cors, Supplier<KeyHolder> holder) {
    this.holder = holder;
    this.request = request;
    this.cors = cors;
  }

  /** Of an answer whose length is known, in bytes. */
  HttpResponse bounded(int status, int length, @Nullable String contentType) {
    HttpResponse response = response(status, contentType);
    HttpUtil.setContentLength(response, length);
    return response;
  }

  /** Of an answer that ends with its last chunk, or for HTTP/1.0 with the connection. */
  HttpResponse unbounded(int status, String contentType) {
    HttpResponse response = response(status, contentType);
    if (request.chunkable()) {
      HttpUtil.setTransferEncodingChunked(response, true);
    }
    return response;
  }

  private HttpResponse response(int status, @Nullable String contentType) {
    HttpResponse response =
        new DefaultHttpResponse(HttpVersion.HTTP_1_1, HttpResponseStatus.valueOf(status));
    HttpHeaders headers = response.headers();
    if (contentType != null) {
      headers.set(HttpHeaderNames.CONTENT_TYPE, contentType);
    }
    headers.set(HttpHeaderNames.CACHE_CONTROL, HttpHeaderValues.NO_CACHE);
    headers.set("x-request-id", request.id());
    headers.set("request-id", request.id()); // Anthropic's clients look for it by that name
    holder.get().limitHeaders().forEach(headers::set);
    cors.apply(headers, request.headers());
    return response;
  }

  /** Says whether the connection goes on after the answer. */
  void connection(HttpResponse response, boolean keepAlive) {
    if (!keepAlive) {
      response.headers().set(HttpHeaderNames.CONNECTION, HttpHeaderValues.CLOSE);
    } else if (!request.chunkable()) { // HTTP/1.0 closes unless told otherwise
      response.headers().set(HttpHeaderNames.CONNECTION, HttpHeaderValues.KEEP_ALIVE);
    }
  }
}
