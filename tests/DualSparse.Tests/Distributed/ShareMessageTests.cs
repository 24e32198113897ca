using DualSparse.Distributed;
using DualSparse.Distributed.Mpi;
using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;

namespace DualSparse.Tests.Distributed;

/// <summary>What goes between ranks, and what a launcher says.</summary>
public unsafe class ShareMessageTests
{
    [Theory]
    [InlineData(ActivationFormat.F32)]
    [InlineData(ActivationFormat.Bf16)]
    [InlineData(ActivationFormat.Int8)]
    [InlineData(ActivationFormat.Int16)]
    public void A_share_arrives_as_it_was_sent(object form)
    {
        const int rows = 5, inputs = 100;
        var format = (ActivationFormat)form;
        var random = new Random(1);
        using ActivationRows sent = new(), received = new();
        sent.Reset(format, rows, inputs);
        for (int r = 0; r < rows; r++)
            sent.Encode(r, [.. Enumerable.Range(0, inputs).Select(_ => random.NextSingle() - 0.5f)]);
        // Row 2 goes to no expert of this rank; 4 goes to both.
        var batch = new ExpertBatch();
        batch.Experts.AddRange([new ExpertRows(0, 0, 1, 3), new ExpertRows(3, 3, 2, 2)]);
        batch.Tokens.AddRange([0, 3, 4, 1, 4]);
        batch.Weights.AddRange([0.1f, 0.2f, 0.3f, 0.4f, 0.5f]);

        using ShareMessage outgoing = new(), incoming = new();
        outgoing.Pack(batch, sent, rows, inputs);
        Assert.Equal(new ShareHeader(4, 5, 2, outgoing.Header.Bytes), outgoing.Header);
        Assert.Equal([0, 1, 3, 4], outgoing.RowsOfPass);
        new ReadOnlySpan<byte>(outgoing.Bytes, outgoing.Header.Bytes).CopyTo(new Span<byte>(incoming.Reserve(outgoing.Header.Bytes), outgoing.Header.Bytes));
        var arrived = new ExpertBatch();
        incoming.Unpack(arrived, received, format, inputs);
        Assert.Equal(batch.Experts, arrived.Experts);
        Assert.Equal(batch.Weights, arrived.Weights);
        Assert.Equal(batch.Tokens, arrived.Tokens.Select(t => outgoing.RowsOfPass[t]));
        int bytes = ActivationRows.WireBytes(format, inputs);
        byte[] before = new byte[bytes], after = new byte[bytes];
        for (int r = 0; r < outgoing.RowsOfPass.Count; r++)
        {
            fixed (byte* b = before, a = after)
            {
                sent.WriteTo(outgoing.RowsOfPass[r], b);
                received.WriteTo(r, a);
            }

            Assert.Equal(before, after);
        }
    }

    [Fact]
    public void A_launcher_says_who_it_is()
    {
        Assert.Null(MpiLaunch.Read(_ => null));
        Assert.Equal(new MpiLaunch(MpiKind.OpenMpi, 1, 4, 2), MpiLaunch.Read(name => name switch
        {
            "OMPI_COMM_WORLD_SIZE" => "4",
            "OMPI_COMM_WORLD_RANK" => "1",
            "OMPI_COMM_WORLD_LOCAL_SIZE" => "2",
            _ => null,
        }));
        Assert.Equal(new MpiLaunch(MpiKind.Mpich, 2, 3, 3), MpiLaunch.Read(name => name switch { "PMI_SIZE" => "3", "PMI_RANK" => "2", _ => null }));
    }
}
