using DualSparse.Benchmarking;

namespace DualSparse.Tests.Benchmarking;

public class StatisticsTests
{
    [Theory]
    [InlineData(6, 0, 5)]
    [InlineData(1000, 468, 531)]
    [InlineData(1001, 468, 532)]
    [InlineData(5000, 2429, 2570)]
    public void A_medians_interval_narrows_with_the_number_of_values(int count, int low, int high) =>
        Assert.Equal((low, high), Statistics.MedianInterval([.. Enumerable.Range(0, count).Select(i => (double)i)]));
}
