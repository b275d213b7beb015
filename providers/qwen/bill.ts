// The bill of Alibaba Cloud, of which Model Studio (Bailian) is a product: details by billable item, as exported from the
// console or listed by `DescribeInstanceBill`. The instance id of Model Studio holds the model and what is billed:
// `text_token;llm-xxx;qwen-max;output_token;app`.

import type { BillFormat } from '#core/bill.ts'

export const bill: BillFormat = {
  source:
    'https://www.alibabacloud.com/help/en/model-studio/bill-query-and-cost-management (the parts of the instance id), https://help.aliyun.com/document_detail/89133.html and 473030.html (fields), https://alibabacloud.com/help/tc/user-center/user-guide/bill-details-2 (columns)',
  columns: {
    time: [
      '账单日期',
      '消费日期',
      '日期',
      'BillingDate',
      '消费时间',
      'UsageStartTime',
      '账单月份',
      '账期',
      'BillingCycle',
    ],
    model: ['实例ID', '资产/资源实例ID', 'InstanceID', 'Instance ID'],
    item: ['实例ID', '资产/资源实例ID', 'InstanceID', 'Instance ID'],
    request: ['请求ID', 'RequestId'],
    quantity: ['用量', 'Usage'],
    quantity_unit: ['用量单位', 'UsageUnit'],
    unit_price: ['官网价', '目录价', '单价', 'ListPrice'],
    price_unit: ['官网价单位', '目录价单位', '单价单位', 'ListPriceUnit'],
    list: ['原价', '目录总价', 'PretaxGrossAmount'],
    amount: ['应付金额', '应付金额(含税)', 'PretaxAmount'],
    free_quantity: ['资源包抵扣', '资源包抵扣量', 'DeductedByResourcePackage'],
    currency: ['币种', 'Currency'],
  },
  modelPart: { separator: ';', part: 3 },
  itemPart: { separator: ';', part: 4 },
  timeZone: 'Asia/Shanghai',
  currency: 'CNY',
}
