using DualSparse.Engine;
using DualSparse.Engine.Loading;
using DualSparse.Kernels;

namespace DualSparse.Tests.Engine.Loading;

public class MemoryNeedTests
{
    [Theory]
    [InlineData("olmoe")]
    [InlineData("qwen2_moe")]
    [InlineData("deepseek_v2")]
    public void What_is_counted_is_what_is_packed(string family)
    {
        foreach (var weights in Enum.GetValues<WeightFormat>())
        {
            using var model = Transformer.Load(TestPaths.Golden(family), new EngineOptions { Weights = weights, Threads = 2 });
            Assert.Equal(model.Report.WeightBytes, MemoryNeed.WeightBytes(model.Config, weights));
        }
    }
}
