using System.Text;
using DualSparse.Server;
using Microsoft.AspNetCore.Http;

namespace DualSparse.Tests.Server;

public class SseWriterTests
{
    [Fact]
    public async Task While_nothing_comes_there_are_comments()
    {
        var (http, body) = Context();
        var writer = new SseWriter(http, TimeSpan.FromMilliseconds(1));
        var wait = new TaskCompletionSource();
        await foreach (int number in writer.WithCommentsAsync(Numbers(), default))
        {
            if (number == 1)
                _ = Task.Run(async () =>
                {
                    while (Encoding.UTF8.GetString(body.ToArray()).Split(": waiting\n\n").Length < 4)
                        await Task.Delay(1);
                    wait.SetResult();
                });
        }

        Assert.Matches(@"^(: waiting\n\n){3,}$", Encoding.UTF8.GetString(body.ToArray()));

        async IAsyncEnumerable<int> Numbers()
        {
            yield return 1;
            await wait.Task;
            yield return 2;
        }
    }

    [Fact]
    public async Task Where_all_comes_in_time_there_are_none()
    {
        var (http, body) = Context();
        List<int> got = [];
        await foreach (int number in new SseWriter(http, TimeSpan.FromMinutes(1)).WithCommentsAsync(new[] { 1, 2, 3 }.ToAsyncEnumerable(), default))
            got.Add(number);
        Assert.Equal([1, 2, 3], got);
        Assert.Equal(0, body.Length);
    }

    // Whoever can't write any more lets the source end before he does.
    [Fact]
    public async Task A_reader_that_has_gone_ends_the_source()
    {
        var (http, _) = Context();
        http.Response.Body = new BrokenStream();
        bool ended = false;
        await Assert.ThrowsAsync<IOException>(async () =>
        {
            await foreach (int _ in new SseWriter(http, TimeSpan.FromMilliseconds(1)).WithCommentsAsync(Endless(), default))
            {
            }
        });
        Assert.True(ended);

        async IAsyncEnumerable<int> Endless([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancel = default)
        {
            try
            {
                await Task.Delay(Timeout.Infinite, cancel);
                yield return 1;
            }
            finally
            {
                ended = true;
            }
        }
    }

    private static (HttpContext Http, MemoryStream Body) Context()
    {
        var body = new SharedStream();
        var http = new DefaultHttpContext();
        http.Response.Body = body;
        return (http, body);
    }

    // Read by a test while it is written.
    private sealed class SharedStream : MemoryStream
    {
        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            lock (this)
                Write(buffer.Span);
            return ValueTask.CompletedTask;
        }

        public override byte[] ToArray()
        {
            lock (this)
                return base.ToArray();
        }
    }

    private sealed class BrokenStream : MemoryStream
    {
        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => throw new IOException("gone");
    }
}
