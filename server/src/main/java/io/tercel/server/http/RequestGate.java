package io.tercel.server.http;

import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpUtil;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.codec.http.TooLongHttpHeaderException;
import io.netty.handler.codec.http.TooLongHttpLineException;
import io.tercel.server.call.ApiException;
import io.tercel.server.call.CallRecord;
import io.tercel.server.call.Guard;
import io.tercel.server.call.KeyHolder;
import io.tercel.server.call.RequestId;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Decides from a request's head alone whether its body is worth reading. */
final class RequestGate {
  private final Router router;
  private final Guard guard;
  private final PageGuard pages;
  private final long maxBodyBytes;

  RequestGate(Router router, Guard guard, PageGuard pages, long maxBodyBytes) {
    this.router = router;
    this.guard = guard;
    this.pages = pages;
    this.maxBodyBytes = maxBodyBytes;
  }

  /** Takes the head apart; never fails. */
  static RequestHead head(HttpRequest request) {
    return new RequestHead(
        request.method().name(),
        path(request.uri()),
        query(request.uri()),
        request.headers(),
        RequestId.of(request.headers().get("x-request-id")),
        HttpUtil.isKeepAlive(request) && request.decoderResult().isSuccess(),
        request.protocolVersion().compareTo(HttpVersion.HTTP_1_1) >= 0);
  }

  /**
   * Lets the request pass to its route, the key first so that strangers learn nothing.
   *
   * @param call is told whose it is and where it goes
   * @return whom it goes to
   * @throws ApiException if not
   */
  Handler check(HttpRequest request, RequestHead head, CallRecord call) {
    checkSyntax(request, head);
    pages.check(head.headers());
    Router.Route found = router.find(head.path());
    if (found != null) {
      call.goesTo(found.pattern(), asksForWork(head));
    }
    boolean open = head.method().equals("OPTIONS") || (found != null && found.open());
    if (!open) {
      KeyHolder holder = guard.admit(authorization(head));
      call.admitted(holder);
      if (asksForWork(head)) {
        holder.countRequest();
      }
    }
    Router.Route route = router.require(head.method(), head.path());
    long length = HttpUtil.getContentLength(request, 0L);
    boolean empty = length == 0 && !HttpUtil.isTransferEncodingChunked(request);
    if (head.method().equals("POST") && !(empty && route.bodyOptional())) {
      checkMediaType(head);
    }
    if (length > maxBodyBytes) {
      throw ApiException.tooLarge(maxBodyBytes);
    }
    return route.answering(head.method());
  }

  private static boolean asksForWork(RequestHead head) {
    return head.method().equals("POST");
  }

  /**
   * Anthropic's clients send a key in a header of its own, and a bearer token beside or instead. A
   * header that is there twice is none: a proxy in front may have looked at the other one.
   */
  private static @Nullable String authorization(RequestHead head) {
    List<String> bearer = head.headers().getAll(HttpHeaderNames.AUTHORIZATION);
    List<String> key = head.headers().getAll("x-api-key");
    if (bearer.isEmpty() && key.isEmpty()) {
      return null;
    }
    if (bearer.isEmpty()) {
      return key.size() == 1 ? "Bearer " + key.getFirst() : "";
    }
    return bearer.size() == 1 ? bearer.getFirst() : "";
  }

  private static void checkSyntax(HttpRequest request, RequestHead head) {
    if (request.decoderResult().isFailure()) {
      throw switch (request.decoderResult().cause()) {
        case TooLongHttpLineException e ->
            ApiException.badHead(414, "The request line is too long.");
        case TooLongHttpHeaderException e ->
            ApiException.badHead(431, "The request's headers are too long.");
        default -> ApiException.badHead(400, "The request is not valid HTTP.");
      };
    }
    HttpVersion version = request.protocolVersion();
    if (!version.equals(HttpVersion.HTTP_1_1) && !version.equals(HttpVersion.HTTP_1_0)) {
      throw ApiException.badHead(400, "The request is neither HTTP/1.1 nor HTTP/1.0.");
    }
    if (head.chunkable() && !head.headers().contains(HttpHeaderNames.HOST)) {
      throw ApiException.badHead(400, "The request has no Host header.");
    }
    String expect = head.headers().get(HttpHeaderNames.EXPECT);
    if (expect != null && !expect.equalsIgnoreCase("100-continue")) {
      throw ApiException.badHead(417, "The only expectation that can be met is 100-continue.");
    }
  }

  private static void checkMediaType(RequestHead head) {
    String type = head.headers().get(HttpHeaderNames.CONTENT_TYPE, "");
    String essence = type.split(";", 2)[0].strip();
    if (!essence.equalsIgnoreCase("application/json")) {
      throw ApiException.mediaType("Content-Type must be application/json.");
    }
    String encoding = head.headers().get(HttpHeaderNames.CONTENT_ENCODING, "identity");
    if (!encoding.equalsIgnoreCase("identity")) {
      throw ApiException.mediaType("Content-Encoding is not supported: send the body as it is.");
    }
  }

  /** The path of an origin-form or absolute-form target. */
  private static String path(String uri) {
    int start = 0;
    int scheme = uri.indexOf("://");
    if (scheme > 0 && uri.charAt(0) != '/') {
      start = uri.indexOf('/', scheme + 3);
      if (start < 0) {
        return "/";
      }
    }
    int query = uri.indexOf('?', start);
    int fragment = uri.indexOf('#', start);
    int end = uri.length();
    end = query < 0 ? end : Math.min(end, query);
    end = fragment < 0 ? end : Math.min(end, fragment);
    return uri.substring(start, end);
  }

  private static String query(String uri) {
    int fragment = uri.indexOf('#');
    String whole = fragment < 0 ? uri : uri.substring(0, fragment);
    int query = whole.indexOf('?');
    return query < 0 ? "" : whole.substring(query + 1);
  }
}
