using DualSparse.Kernels;
using DualSparse.Kernels.Threading;
using DualSparse.Models;
using DualSparse.Models.Safetensors;

namespace DualSparse.Tests.Models.Weights;

/// <summary>Matrices inside tensors, whatever lies side by side in them.</summary>
public class WeightViewTests
{
    // Over every remainder of a vector's and a stripe's elements.
    [Theory]
    [InlineData(TensorType.F32)]
    [InlineData(TensorType.BF16)]
    [InlineData(TensorType.F16)]
    public void A_transposed_matrix_reads_as_its_transpose(object kind)
    {
        var type = (TensorType)kind;
        int[] rows = [1, 3, 7, 8, 9, 15, 16, 17, 31, 40], columns = [1, 2, 4, 5, 8, 11, 16, 31, 32, 33, 64, 71];
        using var team = new ThreadTeam(3);
        using var stored = new Stored(type, [.. rows.SelectMany(r => columns.Select(c => (c, r)))]);
        foreach (var spec in stored.Specs)
        {
            for (int index = 0; index < Stored.Matrices; index++)
            {
                var slice = WeightSlice.Of(spec, index, transposed: true);
                Assert.Equal((spec.Shape[2], spec.Shape[1]), (slice.Rows, slice.Columns));
                stored.Check(slice, index % 2 == 0 ? team : null);
                stored.Check(slice.RowRange(slice.Rows / 3, slice.Rows - slice.Rows / 3), team);
                stored.Check(slice.ColumnRange(slice.Columns / 2, slice.Columns - slice.Columns / 2), null);
            }
        }
    }

    [Fact]
    public void A_part_of_a_matrix_is_a_matrix()
    {
        using var stored = new Stored(TensorType.BF16, (12, 10));
        var slice = WeightSlice.Of(stored.Specs[0], 1);
        stored.Check(slice, null);
        stored.Check(slice.RowRange(4, 5), null);
        stored.Check(slice.ColumnRange(3, 4), null);
        stored.Check(slice.ColumnRange(3, 4).RowRange(2, 3).ColumnRange(1, 2), null);
        // Every other row: gates and ups in turn, say.
        stored.Check(new WeightSlice(stored.Specs[0], 10, 6, 10, 20, 1), null);
    }

    [Fact]
    public void What_lies_outside_is_refused()
    {
        using var stored = new Stored(TensorType.F32, (4, 6));
        foreach (bool transposed in new[] { false, true })
        {
            using var view = stored.Checkpoint.Get(WeightSlice.Of(stored.Specs[0], 1, transposed));
            Assert.Throws<ArgumentOutOfRangeException>(() => view.ReadFloats(-1, new float[1]));
            Assert.Throws<ArgumentOutOfRangeException>(() => view.ReadFloats(23, new float[2]));
            Assert.Throws<ArgumentOutOfRangeException>(() => view.RowBytes(view.Rows).Length);
            Assert.Throws<ArgumentException>(() => view.ReadRow(0, new float[3]));
            Assert.Contains("expected BF16", Assert.Throws<ModelFormatException>(() => view.ReadBf16(0, new ushort[1])).Message);
            view.Dispose();
            if (transposed)
                Assert.Throws<ObjectDisposedException>(() => view.ReadFloats(0, new float[1]));
        }
    }

    // Tensors [matrices, a, b] in a checkpoint; their elements are exact in all three types.
    private sealed class Stored : IDisposable
    {
        public const int Matrices = 3;

        private readonly TemporaryFolder folder = new();
        private readonly TensorType type;

        public Stored(TensorType type, params (int A, int B)[] sizes)
        {
            this.type = type;
            Specs = [.. sizes.Select(size => new TensorSpec($"score.{size.A}.{size.B}", Matrices, size.A, size.B))];
            using (var golden = Checkpoint.Open(TestPaths.Golden("olmoe")))
            {
                TensorView[] tensors = [.. golden.Names.Select(name => golden.Get(name))];
                using var writer = new CheckpointWriter(
                    folder.Path, [.. tensors.Select(t => new TensorDeclaration(t.Name, t.Type, [.. t.Shape])), .. Specs.Select(s => new TensorDeclaration(s.Name, type, s.Shape))]);
                foreach (var tensor in tensors)
                    writer.AppendBytes(tensor.Name, tensor.Bytes);
                foreach (var spec in Specs)
                    writer.Append(spec.Name, [.. Enumerable.Range(0, (int)spec.Count).Select(Value)]);
                writer.Commit();
            }

            File.Copy(TestPaths.Golden("olmoe", "config.json"), folder.File("config.json"));
            Checkpoint = Checkpoint.Open(folder.Path);
        }

        public TensorSpec[] Specs { get; }

        public Checkpoint Checkpoint { get; }

        public void Check(WeightSlice slice, ThreadTeam? team)
        {
            float[] expected = new float[slice.Count];
            for (int r = 0; r < slice.Rows; r++)
            {
                for (int c = 0; c < slice.Columns; c++)
                    expected[r * slice.Columns + c] = Value((int)(slice.First + r * slice.RowStep + c * slice.ColumnStep));
            }

            using var view = Checkpoint.Get(slice, team);
            Assert.Equal(expected, view.ReadFloats());
            float[] row = new float[slice.Columns], tail = new float[expected.Length - expected.Length / 3];
            view.ReadRow(slice.Rows - 1, row);
            Assert.Equal(expected[^row.Length..], row);
            view.ReadFloats(expected.Length / 3, tail);
            Assert.Equal(expected[^tail.Length..], tail);
            Assert.Equal(slice.Columns * type.Bits() / 8, view.RowBytes(0).Length);
            if (type != TensorType.BF16)
                return;
            ushort[] narrow = new ushort[tail.Length];
            view.ReadBf16(expected.Length / 3, narrow);
            Assert.Equal(tail, narrow.Select(Bf16.ToSingle));
        }

        public void Dispose()
        {
            Checkpoint.Dispose();
            folder.Dispose();
        }

        // Eight bits of it, of which bf16 keeps all, and their place.
        private static float Value(int element) => (element % 251 + 1) * (1 + element / 251 % 2 * 15);
    }
}
